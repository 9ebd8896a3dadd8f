"""A softmax whose scores come in pieces, and what they weigh with them.

The sums so far are those of powers against the highest score so far, and are scaled down when a
higher one is met (Milakov and Gimelshein, https://arxiv.org/abs/1805.02867).
"""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable

from tinynn.kernels.cpu.compiler import REORDER
from tinynn.kernels.cpu.elementary import exp
from tinynn.kernels.cpu.reductions import highest, total


@register_jitable
def hide(scores, first, last):
    """The row does not see the columns first to last; nothing where they are none."""
    for t in range(first, last):
        scores[t] = -np.inf


@register_jitable(fastmath=REORDER)
def soften(scores, sums, tops, totals, r):
    """Makes the scores their powers, and adds them to totals[r].

    totals[r] and sums, [width], are scaled to the highest score so far, tops[r].
    """
    top = max(tops[r], highest(scores))
    if top == -np.inf:
        scores[:] = 0
        return
    if top > tops[r]:
        factor = exp(tops[r] - top)
        totals[r] *= factor
        for c in range(sums.size):
            sums[c] *= factor
        tops[r] = top
    for t in range(scores.size):
        scores[t] = exp(scores[t] - top)
    totals[r] += total(scores)

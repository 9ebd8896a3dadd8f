"""Dropout with counter-based random numbers."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.philox import philox
from tinynn.backend.reference.precision import narrowed, widened

Array = Any

_MASK = 0xFFFFFFFF


def dropout(
    x: Array,
    *,
    p: float,
    key: int,
    stream: int,
    step: Any,
    offset: Any = 0,
    out: Array | None = None,
) -> Array:
    """Each element times 0 with probability p, else times 1 / (1 - p).

    Which elements are dropped is a function of the key, the stream, the step and the sample, not of
    how the samples are divided into calls. The gradient is the same function of the gradient.

    Arguments:
        x: [N, ...] float; the first axis counts samples (a 0-d array is one).
        p: 0 to 1.
        key: the seed, 0 to 2**64 - 1.
        stream: the number of the module's stream of random numbers (its low 32 bits count).
        step: the number of the step, likewise; an integer, or an array of one.
        offset: the global number of the first sample, likewise.

    Element e of sample n, counted within the sample, is dropped where word e % 4 of Philox for the
    counter (e // 4, n, step, stream) is below p * 2**32.
    """
    xp, wide = array_module(x), widened(x)
    count = x.shape[0] if x.ndim else 1
    width = x.size // count if count else 0
    blocks = xp.arange(-(-width // 4), dtype="uint64")[None, :]
    samples = (xp.arange(count, dtype="uint64")[:, None] + _word(offset)) & _MASK
    words = philox((blocks, samples, _word(step), _word(stream)), key)
    words = xp.stack(words, axis=-1).reshape(count, 4 * blocks.size)[:, :width]
    kept = (words >= round(p * 2**32)).reshape(x.shape)
    scale = 1 / (1 - p) if p < 1 else 0.0
    return narrowed(wide * (kept.astype(wide.dtype) * scale), x, out)


def _word(value: Any) -> Any:
    return value.astype("uint64") & _MASK if hasattr(value, "astype") else value & _MASK

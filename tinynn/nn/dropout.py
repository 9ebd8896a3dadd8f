"""Dropout: units left out at random in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinynn.nn import functional as F
from tinynn.nn.drawing import Drawing

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


class Dropout(Drawing):
    """y = x * mask / (1 - p), the mask being 0 with probability p; in eval mode y = x.

    Srivastava et al. (2014). The mask is a function of the seed, this layer's stream (its number
    among the dropouts made since `tn.manual_seed`), the step, the sample and the element. So two
    runs drop the same units, whatever else draws random numbers; stream and step are part of
    `state_dict`, so that a resumed run does, too.

    Arguments:
        p: the share that is dropped, from 0 to 1; ValueError outside.

    Attributes:
        stream: which random numbers it draws.
        step: how often it was called in training.

    >>> import tinynn as tn
    >>> layer = tn.nn.Dropout(0.5)
    >>> sorted(set(layer(tn.ones(100)).tolist()))
    [0.0, 2.0]
    >>> layer.eval()(tn.ones(3)).tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p must be between 0 and 1, got {p}")
        self.p = p
        self.start_drawing()

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return input
        return F.dropout(input, self.p, **self.next_numbers())

    def extra_repr(self) -> str:
        return f"p={self.p}"

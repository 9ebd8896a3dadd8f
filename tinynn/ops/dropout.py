"""Dropout, with random numbers that are functions of counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.backend import recording
from tinynn.backend.devices import backend_of
from tinynn.backend.dtypes import is_floating
from tinynn.backend.random import initial_seed, next_stream
from tinynn.ops.dims import check_tensor
from tinynn.ops.registry import apply, declare, public

if TYPE_CHECKING:
    from tinynn.autograd import Tensor

# Dropout is linear, with the same numbers for the same counters: it is its own gradient.
DROPOUT = declare(
    "dropout",
    lambda xp, x, **counters: backend_of(x).kernels.dropout(x, **counters),
    vjps=(lambda F, g, **counters: F.dropout(g, **counters),),
)


@public
def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    *,
    stream: int | None = None,
    step: Any = 0,
    offset: Any = 0,
) -> Tensor:
    """Zeroes each element with probability p and divides the others by 1 - p.

    Whether an element is zeroed depends on the seed of `tn.manual_seed`, the stream, the step, the
    number of its sample (its index in the first dimension) and its place in the sample, and on
    nothing else: a batch in two halves, or computed again, or on a GPU, loses the same elements.

    Arguments:
        input: floats, any shape.
        training: without it the input is returned as it is.
        stream: the number of who asks, such as a module; None takes a new one.
        step: the number of the pass: a number, or an array of one element.
        offset: the number of the first sample.

    Raises ValueError for p outside 0 to 1, RuntimeError for integers.

    >>> import tinynn as tn
    >>> sorted(set(tn.nn.functional.dropout(tn.ones(100), p=0.2).tolist()))
    [0.0, 1.25]
    """
    check_tensor("dropout", input)
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must be between 0 and 1, got {p}")
    if not training or p == 0:
        return input
    if not is_floating(input.data.dtype):
        raise RuntimeError(f"dropout: input must be floats, got {input.dtype}")
    counters = {
        "p": p,
        "key": recording.constant("the seed", initial_seed),
        "stream": recording.live(next_stream, "int64") if stream is None else stream,
        "step": step,
        "offset": offset,
    }
    return apply(DROPOUT, (input,), counters)

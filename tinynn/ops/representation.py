"""How a tensor is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinynn.backend.dtypes import DEFAULT_FLOAT, bool_, int64, is_floating
from tinynn.ops.conversion import host, item

if TYPE_CHECKING:
    from tinynn.autograd import Tensor

PRINTED_WHOLE = 1000
USUAL_DTYPES = (DEFAULT_FLOAT, int64, bool_)  # those that the values themselves tell


def represent(self: Tensor) -> str:
    """Its values to four digits, long ones shortened, and what is not usual about it.

    >>> import tinynn as tn
    >>> tn.tensor([[0.5, 1.0]], requires_grad=True)
    tensor([[0.5000, 1.0000]], requires_grad=True)
    """
    array = host(self)
    notes = [f"size={self.shape}"] if array.ndim > 1 and not array.size else []
    if array.dtype not in (USUAL_DTYPES if array.size else (DEFAULT_FLOAT,)):
        notes.append(f"dtype={array.dtype}")
    if self.device != "cpu":
        notes.append(f"device='{self.device}'")
    if not self.is_leaf:
        notes.append(f"grad_fn=<{self.node.operation.name}>")  # type: ignore[union-attr]
    elif self.requires_grad:
        notes.append("requires_grad=True")
    if is_floating(array.dtype):
        array = array.astype(np.float64)
    finite = array[np.isfinite(array)]
    text = np.array2string(
        array,
        precision=4,
        threshold=PRINTED_WHOLE,
        separator=", ",
        prefix="tensor(",
        floatmode="maxprec" if (finite == np.trunc(finite)).all() else "fixed",
    )
    return f"tensor({', '.join([text, *notes])})"


def formatted(self: Tensor, format_spec: str) -> str:
    """What f-strings show: of a tensor of no dimensions its number, otherwise its `repr`.

    Raises TypeError where a tensor with dimensions is given a format such as ".4f".

    >>> import tinynn as tn
    >>> f"loss {tn.tensor(0.123456):.4f}, {tn.tensor([1, 2])}"
    'loss 0.1235, tensor([1, 2])'
    """
    if not self.data.ndim:
        return format(item(self), format_spec)
    if format_spec:
        raise TypeError(
            f"format: {format_spec!r} needs a tensor of no dimensions, this one has shape "
            f"{self.shape}; use .item() or .tolist()"
        )
    return represent(self)

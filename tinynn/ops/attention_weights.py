"""The weights of attention by ordinary operations, with the scores of all pairs in memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.backend.dtypes import float32, is_half
from tinynn.ops.activation import softmax
from tinynn.ops.arithmetic import add, mul, sub
from tinynn.ops.choice import where
from tinynn.ops.comparison import any, gt, le, logical_and, logical_or, lt
from tinynn.ops.conversion import to
from tinynn.ops.creation import arange
from tinynn.ops.linear_algebra import matmul
from tinynn.ops.shape import expand, reshape, transpose, unsqueeze

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


def attention_weights(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None = None,
    *,
    scale: float,
    is_causal: bool = False,
    window: int | None = None,
    sinks: int = 0,
) -> Tensor:
    """softmax(scale query key^T + mask), and 0 throughout a row that sees nothing.

    Arguments are those of the kernel `attention`. Returns [B, H, L, S], of float32 for 16 bits.
    """
    query, key = widened(query), per_head(widened(key), query.shape[1])
    scores = matmul(mul(query, scale), transpose(key, -1, -2))
    if is_causal:
        rows, columns = scores.shape[-2:]
        seen = causal_mask(rows, columns, scores.device, window=window, sinks=sinks)
        scores = where(seen, scores, -math.inf)
    elif mask is not None and mask.data.dtype.kind == "b":
        scores = where(mask, scores, -math.inf)
    elif mask is not None:
        scores = add(scores, to(mask, dtype=scores.data.dtype))
    if not scores.data.size:
        return scores
    sees = any(gt(scores, -math.inf), -1, keepdim=True)
    return where(sees, softmax(where(sees, scores, 0.0), -1), 0.0)


def widened(x: Tensor) -> Tensor:
    """16-bit floats as float32."""
    return to(x, dtype=float32) if is_half(x.data.dtype) else x


def per_head(x: Tensor, heads: int) -> Tensor:
    """[B, H / group, S, E] -> [B, H, S, E]"""
    batch, own, *rest = x.shape
    if own == heads:
        return x
    return reshape(expand(unsqueeze(x, 2), batch, own, heads // own, *rest), batch, heads, *rest)


def causal_mask(
    rows: int, columns: int, device: Any = None, *, window: int | None = None, sinks: int = 0
) -> Tensor:
    """[rows, columns] bool: what query i sees, the keys up to i, of these the last `window`, and
    the first `sinks`."""
    i = unsqueeze(arange(rows, device=device), 1)
    j = arange(columns, device=device)
    seen = le(j, i)
    if window is not None:
        seen = logical_and(seen, logical_or(gt(j, sub(i, window)), lt(j, sinks)))
    return seen

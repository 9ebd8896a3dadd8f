"""Scaled dot-product attention: for each query, a mean of values, weighted by how well keys fit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.autograd.grad_mode import grad_mode
from tinynn.backend import recording
from tinynn.backend.dtypes import float32, is_floating
from tinynn.backend.random import initial_seed, next_stream
from tinynn.ops.attention_weights import attention_weights, per_head, widened
from tinynn.ops.conversion import to
from tinynn.ops.dims import check_tensor
from tinynn.ops.dropout import DROPOUT
from tinynn.ops.linear_algebra import check_same_dtype, matmul
from tinynn.ops.registry import apply, declare_fused, public
from tinynn.ops.shape import expand, reshape

if TYPE_CHECKING:
    from tinynn.autograd import Tensor

    Shape = tuple[int, ...]

NAME = "scaled_dot_product_attention"


def _vjp(
    F: Any,
    g: Any,
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    out: Any,
    lse: Any,
    *,
    needs: tuple[bool, ...],
    into: Any,
    **attributes: Any,
) -> tuple[Any, ...]:
    gradients = F.kernels.attention_backward(g, query, key, value, mask, out, lse, **attributes)
    wanted = zip(gradients, needs, strict=False)
    return (*(gradient if need else None for gradient, need in wanted), None)


def _unfused(
    F: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    *,
    scale: float,
    is_causal: bool,
    window: int | None,
    sinks: int,
    p: float,
    seed: int,
    **counters: Any,
) -> Tensor:
    weights = attention_weights(
        query, key, mask, scale=scale, is_causal=is_causal, window=window, sinks=sinks
    )
    if p:
        weights = apply(DROPOUT, (weights,), {"p": p, "key": seed, **counters})
    result = matmul(weights, per_head(widened(value), query.shape[1]))
    return to(result, dtype=query.data.dtype)


ATTENTION = declare_fused(
    NAME,
    "attention",
    saves=("query", "key", "value", "mask", "out"),
    vjp=_vjp,
    unfused=_unfused,
)


@public
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    window: int | None = None,
    sinks: int = 0,
    stream: int | None = None,
    step: Any = 0,
    offset: Any = 0,
) -> Tensor:
    """softmax(scale query key^T + mask) value, without keeping the scores of all pairs.

    Each query gets a mean of the values, weighted by how well their keys fit it
    (https://arxiv.org/abs/1706.03762). A query that sees no key gets 0.

    Arguments:
        query: floats, (..., H, L, E); of two or more dimensions.
        key, value: (..., H, S, E) and (..., H, S, Ev), of the same dtype.
        attn_mask: of a shape that broadcasts to (..., H, L, S): bool, True where a query may
            attend, or floats (of the dtype of query or float32), which are added to the scores.
        dropout_p: with this probability a weight becomes 0, and the others are divided by
            1 - dropout_p; whether the module is being trained is for the caller to say.
        is_causal: query i sees the keys 0 to i only, also where L and S differ.
        scale: None for 1 / sqrt(E).
        enable_gqa: key and value may have fewer heads, (..., H / group, S, E); then head h of query
            attends to head h // group of them (https://arxiv.org/abs/2305.13245).
        window: with is_causal, query i sees the last `window` keys up to i only,
        sinks: and the first `sinks` keys (https://arxiv.org/abs/2309.17453).
        stream, step, offset: which random numbers dropout draws, as those of `dropout` for the
            weights (N, H, L, S), all the leading dimensions being one, N.

    Returns (..., H, L, Ev).

    Raises RuntimeError for shapes and dtypes that do not fit and for a mask beside is_causal,
    ValueError for a probability, a window or sinks that are none.

    >>> import tinynn as tn
    >>> query, key = tn.tensor([[1.0, 0.0], [0.0, 9.0]]), tn.eye(2)
    >>> tn.nn.functional.scaled_dot_product_attention(query, key, tn.tensor([[0.0], [1.0]]))
    tensor([[0.3302],
            [0.9983]])
    """
    shapes = _check(query, key, value, attn_mask, enable_gqa)
    _check_options(attn_mask, dropout_p, is_causal, window, sinks)
    q, k, v = map(_stacked, (query, key, value), shapes)
    mask = None
    if attn_mask is not None:
        mask = _mask(attn_mask, query.shape[:-1] + key.shape[-2:-1], shapes[0][:2])
    size = query.shape[-1]
    attributes = {
        "scale": 1 / math.sqrt(max(size, 1)) if scale is None else float(scale),
        "is_causal": bool(is_causal),
        "window": window,
        "sinks": sinks,
        "p": dropout_p,
        "seed": 0,
        "stream": 0,
        "step": step,
        "offset": offset,
    }
    if dropout_p:
        attributes["seed"] = recording.constant("the seed", initial_seed)
        attributes["stream"] = recording.live(next_stream, "int64") if stream is None else stream
    if mask is not None and mask.requires_grad and grad_mode.enabled:
        result = _unfused(None, q, k, v, mask, **attributes)
    else:
        result = apply(ATTENTION, (q, k, v, mask), attributes)
    shape = (*query.shape[:-1], value.shape[-1])
    return result if result.shape == shape else reshape(result, shape)


def _check(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, enable_gqa: bool
) -> tuple[Shape, ...]:
    """The shapes of query, key and value as four dimensions; raises what is wrong with them."""
    named = {"query": query, "key": key, "value": value}
    for argument, item in named.items():
        check_tensor(NAME, item, argument)
        if not is_floating(item.data.dtype):
            raise RuntimeError(f"{NAME}: {argument} must be floats, got {item.dtype}")
        if item.ndim < 2 or item.ndim != query.ndim:
            raise RuntimeError(
                f"{NAME}: query, key and value must have as many dimensions, two or more; "
                f"{argument} has the shape {item.shape}, query {query.shape}"
            )
    check_same_dtype(NAME, **named)
    for dim, argument, name in ((-1, "key", "E"), (-2, "value", "S")):
        other, item = ("query", key) if dim == -1 else ("key", value)
        if item.shape[dim] != named[other].shape[dim]:
            raise RuntimeError(
                f"{NAME}: {argument} must have {other}'s {name}, {named[other].shape[dim]}, as its "
                f"dimension {dim}; its shape is {item.shape}"
            )
    if key.shape[:-2] != value.shape[:-2]:
        raise RuntimeError(
            f"{NAME}: key and value must have the same leading dimensions, their shapes are "
            f"{key.shape} and {value.shape}"
        )
    _check_heads(query, key, enable_gqa)
    if mask is not None:
        _check_mask(query, key, mask)
    # Without heads of their own to share keys, the leading dimension of three counts samples.
    sampled = query.ndim == 3 and not enable_gqa
    return tuple(
        (
            math.prod(item.shape[: -2 if sampled else -3]),
            1 if sampled else math.prod(item.shape[-3:-2]),
            *item.shape[-2:],
        )
        for item in named.values()
    )


def _check_heads(query: Tensor, key: Tensor, enable_gqa: bool) -> None:
    ours, others = query.shape[:-2], key.shape[:-2]
    if ours == others:
        return
    if ours[:-1] != others[:-1]:
        raise RuntimeError(
            f"{NAME}: query and key must have the same leading dimensions, their shapes are "
            f"{query.shape} and {key.shape}"
        )
    if not enable_gqa:
        raise RuntimeError(
            f"{NAME}: query has {ours[-1]} heads (dimension -3), key and value have {others[-1]}; "
            "pass enable_gqa=True for several heads of query to share one of key"
        )
    if not others[-1] or ours[-1] % others[-1]:
        raise RuntimeError(
            f"{NAME}: with enable_gqa the heads of query must be a multiple of those of key, got "
            f"{ours[-1]} and {others[-1]}"
        )


def _check_mask(query: Tensor, key: Tensor, mask: Tensor) -> None:
    check_tensor(NAME, mask, "attn_mask")
    dtype = mask.data.dtype
    if dtype.kind != "b" and dtype not in (query.data.dtype, float32):
        raise RuntimeError(
            f"{NAME}: attn_mask must be bool, float32 or of query's dtype, {query.dtype}; it is "
            f"{mask.dtype}"
        )
    full = query.shape[:-1] + key.shape[-2:-1]
    pairs = zip(reversed(mask.shape), reversed(full), strict=False)
    if mask.ndim > len(full) or not all(own in (1, size) for own, size in pairs):
        raise RuntimeError(
            f"{NAME}: attn_mask must broadcast to the scores (..., L, S), {full}; its shape is "
            f"{mask.shape}"
        )


def _check_options(
    mask: Tensor | None, p: float, is_causal: bool, window: int | None, sinks: int
) -> None:
    if mask is not None and is_causal:
        raise RuntimeError(
            f"{NAME}: attn_mask and is_causal exclude each other; let the mask say all"
        )
    if not 0 <= p <= 1:
        raise ValueError(f"{NAME}: dropout_p must be between 0 and 1, got {p}")
    if window is not None and not is_causal:
        raise ValueError(f"{NAME}: window needs is_causal=True, got a window of {window} without")
    if window is not None and window < 1:
        raise ValueError(f"{NAME}: window must be at least 1, the query's own key; got {window}")
    if sinks < 0 or (sinks and window is None):
        raise ValueError(f"{NAME}: sinks go with a window and are 0 or more, got {sinks}")


def _stacked(x: Tensor, shape: Shape) -> Tensor:
    return x if x.shape == shape else reshape(x, shape)


def _mask(mask: Tensor, full: Shape, lead: Shape) -> Tensor:
    """The mask as [B or 1, H or 1, L or 1, S or 1], for scores `full` that are (*lead, L, S)."""
    shape = (1,) * (len(full) - mask.ndim) + mask.shape
    split = len(full) - 2 if len(full) == 3 and lead[1] == 1 else len(full) - 3
    batch, heads = shape[: max(split, 0)], shape[max(split, 0) : -2]
    if math.prod(batch) not in (1, lead[0]):  # some of the leading dimensions, not all of them
        batch = full[:split]
        mask = expand(reshape(mask, shape), *batch, *heads, *shape[-2:])
    return _stacked(mask, (math.prod(batch), math.prod(heads), *shape[-2:]))

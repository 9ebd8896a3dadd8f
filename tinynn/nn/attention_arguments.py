"""What MultiheadAttention is given: its shapes checked, and its masks as one.

Its masks say what is left out, as in PyTorch; those of the operation say what is seen.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.backend.dtypes import is_floating
from tinynn.ops.arithmetic import add
from tinynn.ops.attention_weights import causal_mask
from tinynn.ops.choice import where
from tinynn.ops.comparison import logical_and, logical_not
from tinynn.ops.conversion import to
from tinynn.ops.dims import check_tensor
from tinynn.ops.shape import reshape

if TYPE_CHECKING:
    from tinynn.autograd import Tensor
    from tinynn.nn.attention import MultiheadAttention


def check_sequences(layer: MultiheadAttention, query: Tensor, key: Tensor, value: Tensor) -> None:
    """Raises what is wrong with the shapes of query, key and value."""
    layout = "(N, L, {0}) or (L, {0})" if layer.batch_first else "(L, N, {0}) or (L, {0})"
    widths = layer.embed_dim, layer.kdim, layer.vdim
    named = zip(("query", "key", "value"), (query, key, value), widths, strict=True)
    for name, item, width in named:
        check_tensor("MultiheadAttention", item, name)
        if item.ndim not in (2, 3) or item.ndim != query.ndim or item.shape[-1] != width:
            raise RuntimeError(
                f"MultiheadAttention: {name} must be {layout.format(width)}, all three alike; "
                f"its shape is {item.shape}, query's {query.shape}"
            )
    batch = 0 if layer.batch_first else 1
    if key.shape[:-1] != value.shape[:-1] or (
        query.ndim == 3 and query.shape[batch] != key.shape[batch]
    ):
        raise RuntimeError(
            "MultiheadAttention: key and value must be of one length, and all of one batch; "
            f"the shapes are {query.shape}, {key.shape} and {value.shape}"
        )


def check_new_tokens(
    layer: MultiheadAttention, query: Tensor, key: Tensor, value: Tensor, masks: tuple[Any, ...]
) -> None:
    """Raises what does not go with a cache."""
    if not (query is key and key is value) or query.shape[1:] != (layer.embed_dim,):
        raise RuntimeError(
            "MultiheadAttention: with a cache, query, key and value must be one tensor (tokens, "
            f"{layer.embed_dim}); query's shape is {query.shape}"
        )
    if any(mask is not None for mask in masks):
        raise ValueError(
            "MultiheadAttention: a cache knows what each token sees; it takes no "
            "key_padding_mask and no attn_mask"
        )
    if layer.dropout and layer.training:
        raise ValueError("MultiheadAttention: a cache is for inference; call eval() first")


def check_masks(
    q: Tensor,
    k: Tensor,
    padding: Tensor | None,
    mask: Tensor | None,
    is_causal: bool,
    window: int | None,
) -> None:
    """Raises what is wrong with masks for queries [N, H, L, E] and keys [N, kv_heads, S, E]."""
    if window is not None and not is_causal:
        raise ValueError(
            f"MultiheadAttention: a window reaches back from each query, so that it needs "
            f"is_causal=True; got a window of {window} without"
        )
    batch, heads, rows, _ = q.shape
    columns = k.shape[2]
    shapes: dict[str, tuple[Any, ...]] = {
        "key_padding_mask": ((batch, columns), *(((columns,),) if batch == 1 else ())),
        "attn_mask": ((rows, columns), (batch * heads, rows, columns)),
    }
    for name, item in (("key_padding_mask", padding), ("attn_mask", mask)):
        if item is None:
            continue
        check_tensor("MultiheadAttention", item, name)
        if item.data.dtype.kind != "b" and not is_floating(item.data.dtype):
            raise RuntimeError(
                f"MultiheadAttention: {name} must be bool or floats, got {item.dtype}"
            )
        if item.shape not in shapes[name]:
            expected = " or ".join(map(str, shapes[name]))
            raise RuntimeError(
                f"MultiheadAttention: {name} must have the shape {expected}, its shape is "
                f"{item.shape}"
            )


def merged_mask(
    q: Tensor,
    k: Tensor,
    padding: Tensor | None,
    mask: Tensor | None,
    *,
    is_causal: bool,
    window: int | None,
    sinks: int,
) -> Tensor:
    """All that is left out in one mask for `F.scaled_dot_product_attention`: bool, true where a
    query may attend, if all are bool; else floats to be added."""
    batch, heads, rows, _ = q.shape
    columns = k.shape[2]
    parts = []
    if is_causal:
        parts.append(causal_mask(rows, columns, q.device, window=window, sinks=sinks))
    elif mask is not None:
        seen = _seen(mask)
        parts.append(seen if seen.ndim == 2 else reshape(seen, batch, heads, rows, columns))
    if padding is not None:
        parts.append(reshape(_seen(padding), batch, 1, 1, columns))
    if all(part.data.dtype.kind == "b" for part in parts):
        return parts[0] if len(parts) == 1 else logical_and(*parts)
    parts = [to(_added(part), dtype=q.data.dtype) for part in parts]
    return parts[0] if len(parts) == 1 else add(*parts)


def _seen(mask: Tensor) -> Tensor:
    return logical_not(mask) if mask.data.dtype.kind == "b" else mask


def _added(part: Tensor) -> Tensor:
    if part.data.dtype.kind != "b":
        return part
    return where(part, 0.0, -math.inf)

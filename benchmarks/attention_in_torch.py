"""The calls of `attention_calls` in PyTorch: its attention on keys that lie one after the other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import scaled_dot_product_attention as attend

from tinynn.backend.threads import get_num_threads

Call = Callable[[], object]
torch.set_num_threads(get_num_threads())


def decode(
    batch: int, length: int, heads: int, kv_heads: int, head_dim: int, dtype: str, device: str
) -> Call:
    """One new token for each of `batch` sequences; PyTorch chooses among its implementations."""
    kind = getattr(torch, dtype)
    query = torch.randn(batch, heads, 1, head_dim, device=device).to(kind)
    key, value = (
        torch.randn(batch, kv_heads, length, head_dim, device=device).to(kind) for _ in range(2)
    )
    shared = heads != kv_heads

    @torch.inference_mode()
    def call() -> object:
        return attend(query, key, value, enable_gqa=shared)

    return finishing(call, device)


def prefill(
    batch: int, length: int, heads: int, head_dim: int, device: str, *, train: bool = False
) -> Call:
    """Causal attention of `length` tokens to themselves; with gradients, if it trains."""
    kind = torch.float32 if device == "cpu" else torch.bfloat16
    shape = (batch, heads, length, head_dim)
    leaves = [torch.randn(shape, device=device).to(kind).requires_grad_(train) for _ in range(3)]
    g = torch.randn(shape, device=device).to(kind)

    def call() -> object:
        out = attend(*leaves, is_causal=True)
        if not train:
            return out
        for leaf in leaves:
            leaf.grad = None
        return out.backward(g)

    return finishing(call, device)


def finishing(call: Call, device: str) -> Call:
    """The call; on a GPU, with what waits for it."""
    if device != "cpu":
        call.finish = torch.cuda.synchronize  # type: ignore[attr-defined]
    return call

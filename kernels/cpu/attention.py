"""Attention of queries to keys and values: so far the references compute it."""

from __future__ import annotations

from typing import Any

from tinynn.kernels.cpu.arrays import Array


def attention(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    *,
    scale: float,
    is_causal: bool = False,
    window: int | None = None,
    sinks: int = 0,
    p: float = 0.0,
    seed: int = 0,
    stream: Any = 0,
    step: Any = 0,
    offset: Any = 0,
    out: Array | None = None,
) -> Any:
    """The result, and the logarithms of the sums; see the reference of the same name."""
    return NotImplemented


def attention_backward(
    g: Array,
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    result: Array,
    lse: Array,
    *,
    scale: float,
    is_causal: bool = False,
    window: int | None = None,
    sinks: int = 0,
    p: float = 0.0,
    seed: int = 0,
    stream: Any = 0,
    step: Any = 0,
    offset: Any = 0,
) -> Any:
    """The gradients of query, key and value; see the reference of the same name."""
    return NotImplemented

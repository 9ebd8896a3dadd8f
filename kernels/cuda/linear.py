"""A linear layer and its activation: a product by cuBLAS and one pass over its result; or, of few
rows, one kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import blas, compiler, few_rows
from tinynn.kernels.cuda.activations import NUMBERS
from tinynn.kernels.cuda.arrays import (
    THREADS,
    TYPES,
    Array,
    aligned,
    blocks_for,
    uniform,
    wide,
)
from tinynn.kernels.cuda.rows import column_instantiations, sums_over_rows

_SOURCE = "linear.cu"
_GROUP = 16  # bytes that are read at once
_MOST_FEW = 4  # rows for which cuBLAS is slower (measured on an H200)
SAVES_INPUT = ("silu", "gelu", "gelu_tanh")

INSTANTIATIONS = [
    *(
        (_SOURCE, f"finish<{element}, {product}, {whole}>")
        for element, product in (
            ("float", "float"),
            ("double", "double"),
            ("__half", "__half"),
            ("__nv_bfloat16", "float"),
        )
        for whole in ("true", "false")
    ),
    *column_instantiations(_SOURCE, "finish_backward"),
]


def linear_activation(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    activation: str | None,
    parameter: float = 0.0,
    out: Array | None = None,
) -> Any:
    """activation(x weight^T + bias); see the reference of the same name."""
    if not uniform(x, weight, bias, out) or not x.ndim or not x.size or not weight.size:
        return NotImplemented
    shape = (*x.shape[:-1], weight.shape[0])
    out = np.empty(shape, x.dtype, like=x) if out is None else out
    if activation is None and few_rows.takes(x, weight, _MOST_FEW):
        few_rows.multiply(x, weight, bias, out)
        return out
    pre = np.empty(shape, x.dtype, like=x) if activation in SAVES_INPUT else None
    # Products of 16-bit numbers are added in float32; those of bfloat16, whose own digits are few,
    # stay so until the bias is added.
    matrix, dtype = x.reshape(-1, x.shape[-1]), x.dtype
    if dtype.name == "bfloat16":
        dtype = wide(dtype)
    product = out.reshape(-1, shape[-1])
    if dtype != x.dtype:
        product = np.empty(product.shape, dtype, like=x)
    if blas.is_there():
        blas.product(matrix, weight, product)
    else:
        np.dot(matrix.astype(dtype, copy=False), weight.astype(dtype, copy=False).T, out=product)
    if bias is None and activation is None and dtype == x.dtype:
        return out
    rows, columns = product.shape
    whole = columns % (_GROUP // x.dtype.itemsize) == 0 and aligned(_GROUP, bias, pre, out)
    element, source = TYPES[x.dtype.name], TYPES[dtype.name]
    compiler.load(_SOURCE, f"finish<{element}, {source}, {str(whole).lower()}>")(
        (blocks_for(-(-out.size * x.dtype.itemsize // _GROUP), compiler.current_device()[1]),),
        (THREADS,),
        (
            *(product, bias, pre, out),
            np.int64(rows),
            np.int32(columns),
            np.int32(NUMBERS[activation]),
            np.float64(parameter),
        ),
    )
    return out if pre is None else (out, pre)


def activation_backward(
    g: Array,
    saved: Array,
    *,
    activation: str | None,
    parameter: float = 0.0,
    out: Array | None = None,
) -> Any:
    """Gradients before the activation and, summed over rows, of the bias; see the reference."""
    if not uniform(g, saved, out) or not g.ndim or not g.size:
        return NotImplemented
    gradient = np.empty(g.shape, g.dtype, like=g) if out is None else out
    size = np.int64(g.size // g.shape[-1]), np.int32(g.shape[-1])
    rule = np.int32(NUMBERS[activation]), np.float64(parameter)
    sums = sums_over_rows(
        _SOURCE, "finish_backward", 1, g, lambda sums: (g, saved, gradient, sums, *size, *rule)
    )
    return gradient, sums[0]

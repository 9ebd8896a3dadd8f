"""The methods of Tensor: which operation stands behind which name, as a table.

`python -m tinynn.ops.stub` writes their types to autograd/tensor.pyi.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.autograd.gradients import backward
from tinynn.autograd.tensor import Tensor
from tinynn.ops import (
    activation,
    arithmetic,
    choice,
    comparison,
    conversion,
    creation,
    elementwise,
    extremes,
    gathering,
    indexing,
    inplace,
    layout,
    like,
    linear_algebra,
    reduction,
    representation,
    shape,
    slicing,
)

if TYPE_CHECKING:
    from types import ModuleType

# Methods that bear the name of their function, by the module it is in.
NAMESAKES: dict[ModuleType, str] = {
    arithmetic: "add sub mul div floor_divide remainder neg pow",
    comparison: "eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and "
    "bitwise_or bitwise_xor bitwise_not all any equal allclose",
    conversion: "clone to cpu cuda type_as numpy item tolist",
    layout: "size numel dim element_size is_contiguous contiguous is_floating_point",
    elementwise: "exp log sqrt rsqrt abs sign sin cos tanh erf log1p expm1 square reciprocal floor "
    "ceil round isnan isinf isfinite",
    choice: "clip clamp minimum maximum",
    indexing: "nonzero",
    extremes: "max min amax amin argmax argmin",
    reduction: "sum mean var std prod logsumexp cumsum",
    shape: "reshape view view_as transpose t permute movedim expand expand_as broadcast_to squeeze "
    "unsqueeze flatten flip roll",
    slicing: "split chunk unbind",
    gathering: "gather take_along_dim index_select index_add scatter_add masked_fill",
    linear_algebra: "matmul outer tril triu",
    activation: "relu sigmoid softmax log_softmax",
    like: "new_zeros new_ones new_empty new_full new_tensor",
    inplace: "add_ sub_ mul_ div_ pow_ floor_divide_ remainder_ bitwise_and_ bitwise_or_ "
    "bitwise_xor_ clamp_ masked_fill_ copy_ fill_ zero_ detach_",
}

# Methods that cast, as PyTorch calls them.
CASTS = {
    "half": "float16",
    "bfloat16": "bfloat16",
    "float": "float32",
    "double": "float64",
    "int": "int32",
    "long": "int64",
    "bool": "bool",
}

# Python's operators and the names that differ from their function's.
OPERATORS: dict[str, Any] = {
    "__add__": arithmetic.operator_add,
    "__radd__": arithmetic.operator_add,
    "__sub__": arithmetic.operator_sub,
    "__rsub__": arithmetic.reflected_sub,
    "__mul__": arithmetic.operator_mul,
    "__rmul__": arithmetic.operator_mul,
    "__truediv__": arithmetic.div,
    "__rtruediv__": arithmetic.reflected_div,
    "__floordiv__": arithmetic.floor_divide,
    "__rfloordiv__": arithmetic.reflected_floor_divide,
    "__mod__": arithmetic.remainder,
    "__rmod__": arithmetic.reflected_remainder,
    "__pow__": arithmetic.pow,
    "__rpow__": arithmetic.reflected_pow,
    "__neg__": arithmetic.neg,
    "__pos__": arithmetic.positive,
    "__abs__": elementwise.abs,
    "__matmul__": linear_algebra.matmul,
    "__eq__": comparison.operator_eq,
    "__ne__": comparison.operator_ne,
    "__lt__": comparison.lt,
    "__le__": comparison.le,
    "__gt__": comparison.gt,
    "__ge__": comparison.ge,
    "__and__": comparison.bitwise_and,
    "__rand__": comparison.bitwise_and,
    "__or__": comparison.bitwise_or,
    "__ror__": comparison.bitwise_or,
    "__xor__": comparison.bitwise_xor,
    "__rxor__": comparison.bitwise_xor,
    "__invert__": comparison.bitwise_not,
    "__iadd__": inplace.add_,
    "__isub__": inplace.sub_,
    "__imul__": inplace.mul_,
    "__itruediv__": inplace.div_,
    "__ifloordiv__": inplace.floor_divide_,
    "__imod__": inplace.remainder_,
    "__ipow__": inplace.pow_,
    "__iand__": inplace.bitwise_and_,
    "__ior__": inplace.bitwise_or_,
    "__ixor__": inplace.bitwise_xor_,
    "__getitem__": indexing.getitem,
    "__setitem__": inplace.setitem,
    "__iter__": indexing.iterate,
    "__contains__": comparison.contains,
    "__bool__": conversion.truth,
    "__int__": conversion.to_int,
    "__float__": conversion.to_float,
    "__index__": conversion.index,
    "__array__": conversion.to_array,
    "__dlpack__": creation.to_dlpack,
    "__dlpack_device__": creation.dlpack_device,
    "__repr__": representation.represent,
    "__format__": representation.formatted,
    "backward": backward,
    **{name: conversion.casting(dtype) for name, dtype in CASTS.items()},
    "where": choice.where_method,
    "nelement": layout.numel,
    "ndimension": layout.dim,
}
PROPERTIES: dict[str, Any] = {
    "T": shape.reverse_dims,
    "mT": shape.matrix_transpose,
    "nbytes": layout.nbytes,
}


def attach() -> None:
    """Gives Tensor its methods."""
    for module, names in NAMESAKES.items():
        for name in names.split():
            setattr(Tensor, name, getattr(module, name))
    for name, function in OPERATORS.items():
        setattr(Tensor, name, function)
    for name, function in PROPERTIES.items():
        setattr(Tensor, name, property(function))

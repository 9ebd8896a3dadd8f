"""A neural-network engine in NumPy and CuPy that a person can read.

>>> import tinynn as tn
>>> x = tn.tensor([1.0, 2.0], requires_grad=True)
>>> (x**2).sum().backward()
>>> x.grad
tensor([2., 4.])
"""

from __future__ import annotations

from math import inf, nan, pi
from typing import TYPE_CHECKING, Any

from tinynn import ops
from tinynn.autograd import (
    Tensor,
    checkpoint,
    enable_grad,
    grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from tinynn.backend.devices import Device as device
from tinynn.backend.dtypes import bfloat16 as _bfloat16
from tinynn.backend.dtypes import bool_ as bool
from tinynn.backend.dtypes import (
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from tinynn.backend.dtypes import float16 as half
from tinynn.backend.dtypes import float32 as float
from tinynn.backend.dtypes import float64 as double
from tinynn.backend.dtypes import int32 as int
from tinynn.backend.dtypes import int64 as long
from tinynn.backend.random import manual_seed
from tinynn.backend.threads import get_num_threads, set_num_threads
from tinynn.ops import *

if TYPE_CHECKING:
    from tinynn import data, generation, io, models, nn, optim, quant, training
    from tinynn.capture import compile
    from tinynn.io.tensors import load, save
    from tinynn.profiling import profile

__version__ = "0.1.0"

# Loaded when first asked for, so that `import tinynn` costs little more than NumPy.
_PACKAGES = ("data", "generation", "io", "models", "nn", "optim", "quant", "training")
_ELSEWHERE = {
    "compile": "tinynn.capture",
    "load": "tinynn.io.tensors",
    "profile": "tinynn.profiling",
    "save": "tinynn.io.tensors",
}

__all__ = [
    "Tensor",
    "__version__",
    "bfloat16",
    "bool",
    "checkpoint",
    "compile",
    "data",
    "device",
    "double",
    "enable_grad",
    "float",
    "float16",
    "float32",
    "float64",
    "generation",
    "get_num_threads",
    "grad",
    "half",
    "inf",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "io",
    "is_grad_enabled",
    "load",
    "long",
    "manual_seed",
    "models",
    "nan",
    "nn",
    "no_grad",
    "optim",
    "pi",
    "profile",
    "quant",
    "save",
    "set_grad_enabled",
    "set_num_threads",
    "training",
    "uint8",
    *ops.__all__,
]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _PACKAGES:
        return importlib.import_module(f"tinynn.{name}")
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(_ELSEWHERE[name]), name)
    if name == "bfloat16":
        return _bfloat16()
    raise AttributeError(f"module 'tinynn' has no attribute {name!r}")

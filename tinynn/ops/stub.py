"""Writes autograd/tensor.pyi, the types of Tensor's methods, from the table that attaches them.

Run `python -m tinynn.ops.stub` after a change to the methods; a test fails until it is run.
"""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tinynn.autograd.tensor as tensor_module
from tinynn.ops.methods import NAMESAKES, OPERATORS, PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = Path(tensor_module.__file__).with_suffix(".pyi")
HEADER = '''"""The types of Tensor: written by `python -m tinynn.ops.stub`, not by hand."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinynn.autograd.node import Hook, Leaf, Node
from tinynn.autograd.version import Version
from tinynn.backend.devices import Device
from tinynn.backend.dtypes import DTypeLike
from tinynn.ops.arithmetic import Operand
from tinynn.ops.dims import Dims, Shape

_bool = bool
_float = float
_int = int
new: Callable[..., Any]

def make_tensor(data: Any, node: Node | Leaf | None, version: Version | None) -> Tensor: ...
def shared_version(tensor: Tensor) -> Version: ...

class HookHandle:
    def __init__(self, hooks: dict[Any, Any], hook: Any) -> None: ...
    def remove(self) -> None: ...

class Tensor:
    data: Any
    node: Node | Leaf | None
    _version: Version | None
    __array_ufunc__: None
    def __init__(self, data: Any, requires_grad: bool = False) -> None: ...
'''


def stub() -> str:
    """The text of tensor.pyi."""
    lines = []
    for name, member in vars(tensor_module.Tensor).items():
        if isinstance(member, property) and name not in PROPERTIES:
            lines += _property(name, member)
        elif name in OWN_METHODS:
            lines.append(_method(name, member))
    for name, function in PROPERTIES.items():
        lines += _property(name, property(function))
    methods: dict[str, Any] = dict(OPERATORS)
    for module, names in NAMESAKES.items():
        methods.update({name: getattr(module, name) for name in names.split()})
    lines += [_method(name, function) for name, function in sorted(methods.items())]
    header, start, members = HEADER.partition("class Tensor:")
    members += "".join(f"    {line}\n" for line in lines)
    # Methods are called bool, float and int, so that the types need other names inside the class.
    return header + start + re.sub(r"(?<!def )\b(bool|float|int)\b", r"_\1", members)


OWN_METHODS = (
    "requires_grad_",
    "retain_grad",
    "register_hook",
    "bump_version",
    "detach",
    "__len__",
    "__hash__",
)


def _property(name: str, member: property) -> list[str]:
    getter = inspect.signature(member.fget)  # type: ignore[arg-type]
    lines = ["@property", f"def {name}(self) -> {getter.return_annotation}: ..."]
    if member.fset is not None:
        value = list(inspect.signature(member.fset).parameters.values())[1]
        lines += [f"@{name}.setter", f"def {name}(self, value: {value.annotation}) -> None: ..."]
    return lines


def _method(name: str, function: Callable[..., Any]) -> str:
    if name in ("__iadd__", "__isub__", "__imul__", "__itruediv__"):
        other = inspect.signature(OPERATORS[name.replace("__i", "__")]).parameters["other"]
        return f"def {name}(self, other: {other.annotation}) -> Tensor: ..."
    signature = inspect.signature(function)
    first, *rest = signature.parameters.values()
    if first.kind is inspect.Parameter.VAR_POSITIONAL:
        rest = [first, *rest]
    own = first.replace(name="self", annotation=inspect.Parameter.empty)
    own = own.replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [own, *rest]
    text = str(signature.replace(parameters=parameters)).replace("'", "")
    return f"def {name}{text}: ..."


if __name__ == "__main__":
    PATH.write_text(stub())
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", PATH], check=True)
    print(f"wrote {PATH}")

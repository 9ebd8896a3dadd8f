"""The registry: operations declared as data, and the public functions that apply them.

An operation has two parts. Its declaration says what it does to arrays and how its gradient is
found. A public function of the same name, marked `@public`, has PyTorch's signature, checks its
arguments, brings them to canonical form and calls `apply`. A public function may also be built
from other public functions, and then needs no declaration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tinynn.autograd.door import apply, apply_all, binary
from tinynn.autograd.operation import OPERATIONS, Every, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Function = TypeVar("Function", bound="Callable[..., Any]")

__all__ = [
    "OPERATIONS",
    "OPS",
    "Every",
    "apply",
    "apply_all",
    "binary",
    "declare",
    "declare_fused",
    "public",
]

OPS: dict[str, Callable[..., Any]] = {}


def public(function: Function) -> Function:
    """Enters a public function into OPS, which tests, benchmarks and docs enumerate."""
    OPS[function.__name__] = function
    return function


def declare(
    name: str,
    forward: Callable[..., Any],
    *,
    vjps: Sequence[Callable[..., Any] | None] | Every = (),
    saves: Sequence[str] = (),
    promotes: str | None = None,
    broadcasts: bool = False,
    borrows: bool = False,
    views: bool = False,
    differentiable: bool = True,
    quiet: bool = False,
) -> Operation:
    """Declares an operation by its forward (xp, *arrays, **attributes) and a rule an argument.

    The other arguments are the attributes of `Operation`. `saves` names parameters of `forward`,
    `"out"` for its result, or their `.shape` or `.dtype`.
    """
    operation = Operation(
        name,
        _parameters(forward),
        forward,
        vjps=vjps,
        saves=saves,
        promotes=promotes,
        broadcasts=broadcasts,
        borrows=borrows,
        views=views,
        differentiable=differentiable and bool(vjps),
        quiet=quiet,
    )
    OPERATIONS[name] = operation
    return operation


def declare_fused(
    name: str,
    kernel: str,
    *,
    vjp: Callable[..., Any],
    unfused: Callable[..., Any],
    saves: Sequence[str] = (),
    promotes: str | None = None,
) -> Operation:
    """Declares an operation that is one entry of the kernel table.

    Arguments:
        kernel: the entry; called with the arrays and attributes, it returns the result, or
            (result, *residuals).
        vjp: one rule for all arguments, (F, gradient, *saved, *residuals, needs, into,
            **attributes) -> a gradient, or None, for each.
        unfused: (F, *inputs, **attributes) -> the same result by ordinary operations; higher
            derivatives come from it.
    """
    operation = Operation(
        name,
        _parameters(unfused),
        kernel=kernel,
        joint_vjp=vjp,
        unfused=unfused,
        saves=saves,
        promotes=promotes,
        quiet=True,
    )
    OPERATIONS[name] = operation
    return operation


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the array parameters: the positional ones after the namespace."""
    code = function.__code__
    return code.co_varnames[1 : code.co_argcount]

"""An operation as data: its forward on arrays and the rules of its gradient, in one table.

A gradient rule is written once, against a namespace `F` of operations. In an ordinary backward
pass F holds the plain array forwards; under `create_graph` it holds the recording ones, so that
the same rule gives gradients of gradients.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.backend.devices import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinynn.backend.devices import Backend

OUT = "out"


class Every:
    """One gradient rule, (position, F, gradient, ...), for each of any number of arguments."""

    def __init__(self, rule: Callable[..., Any]) -> None:
        self.rule = rule

    def __getitem__(self, position: int) -> Callable[..., Any]:
        return partial(self.rule, position)


class Operation:
    """One differentiable operation.

    Attributes:
        name: what errors, profiles and the namespace F call it.
        forward: (xp, *arrays, **attributes) -> array, on the arrays of one backend.
        kernel: or the name of an entry of the kernel table, called in place of `forward`;
            it returns the result, or (result, *residuals).
        vjps: a rule (F, gradient, *saved, **attributes) -> gradient for each array argument, or
            None where there is no gradient; or Every(rule) for a forward of (xp, *arrays).
        joint_vjp: or one rule for all arguments, (F, gradient, *saved, *residuals, needs, into,
            **attributes) -> tuple; `needs` tells which gradients are wanted, `into` holds for each
            argument an array to write its gradient into, or None.
        unfused: the same function in terms of F's ordinary operations, from which a fused
            operation takes its higher derivatives.
        saves: where each saved value comes from: (position, "array", "shape" or "dtype"), position
            -1 being the result.
        promotes: None, "common" (inputs are cast to a common dtype) or "float" (and integers
            to float32).
        broadcasts: whether inputs broadcast, so that gradients are summed back at the edge.
        borrows: whether a rule may return its gradient argument or a saved array, or a view of
            one, rather than fresh memory.
        views: whether the result may share memory with the first argument.
        differentiable: False for comparisons, argmax and the like.
        quiet: whether inf and nan are ordinary results, for which NumPy is not to warn.
        rounds: whether gradients are rounded to bfloat16, see `bfloat16_twin`.
    """

    __slots__ = (
        "borrows",
        "broadcasts",
        "differentiable",
        "forward",
        "joint_vjp",
        "kernel",
        "name",
        "pair",
        "parameters",
        "promotes",
        "quiet",
        "rounds",
        "saves",
        "saves_result",
        "unfused",
        "views",
        "vjps",
    )

    def __init__(
        self,
        name: str,
        parameters: Sequence[str],
        forward: Callable[..., Any] | None = None,
        *,
        kernel: str | None = None,
        vjps: Sequence[Callable[..., Any] | None] | Every = (),
        joint_vjp: Callable[..., Any] | None = None,
        unfused: Callable[..., Any] | None = None,
        saves: Sequence[str] = (),
        promotes: str | None = None,
        broadcasts: bool = False,
        borrows: bool = False,
        views: bool = False,
        differentiable: bool = True,
        quiet: bool = False,
    ) -> None:
        self.name = name
        self.parameters = tuple(parameters)
        self.forward = forward
        self.kernel = kernel
        self.vjps: Any = vjps if isinstance(vjps, Every) else tuple(vjps)
        self.joint_vjp = joint_vjp
        self.unfused = unfused
        self.saves = tuple(self._source(spec) for spec in saves)
        self.saves_result = any(position == -1 for position, _ in self.saves)
        self.promotes = promotes
        self.broadcasts = broadcasts
        self.borrows = borrows
        self.views = views
        self.differentiable = differentiable
        self.quiet = quiet
        # Whether it has two rules that read two saved values, and need nothing else.
        self.pair = (
            not quiet and isinstance(self.vjps, tuple) and len(self.vjps) == len(self.saves) == 2
        )
        self.rounds = False

    def _source(self, spec: str) -> tuple[int, str]:
        parameter, _, part = spec.partition(".")
        position = -1 if parameter == OUT else self.parameters.index(parameter)
        return position, part or "array"

    def run(self, backend: Backend, arrays: Sequence[Any], attributes: dict[str, Any]) -> Any:
        """The forward on plain arrays."""
        if self.quiet:
            with np.errstate(all="ignore"):
                return self._run(backend, arrays, attributes)
        return self._run(backend, arrays, attributes)

    def _run(self, backend: Backend, arrays: Sequence[Any], attributes: dict[str, Any]) -> Any:
        if self.kernel is not None:
            return getattr(backend.kernels, self.kernel)(*arrays, **attributes)
        assert self.forward is not None
        return self.forward(backend.xp, *arrays, **attributes)

    def __repr__(self) -> str:
        return f"Operation({self.name!r})"


OPERATIONS: dict[str, Operation] = {}


@cache
def bfloat16_twin(operation: Operation) -> Operation:
    """The operation as nodes with a result in bfloat16 record it.

    NumPy makes bfloat16 with a Python float, or with a bool, a wider float, and so may a rule
    written with them; the gradients are then rounded back.
    """
    from copy import copy

    twin = copy(operation)
    twin.pair, twin.rounds = False, operation.name != "cast"
    return twin


class Operations:
    """The operations by name, as attributes, each bound the first time it is asked for."""

    def __init__(self, bind: Callable[[Operation], Callable[..., Any]]) -> None:
        self._bind = bind

    def __getattr__(self, name: str) -> Any:
        if name not in OPERATIONS:
            raise AttributeError(f"no operation is called {name!r}")
        bound = self._bind(OPERATIONS[name])
        setattr(self, name, bound)
        return bound


class ArrayOperations(Operations):
    """The namespace F of an ordinary backward pass: forwards on plain arrays of one backend."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        super().__init__(self._forward)

    @property
    def kernels(self) -> Any:
        """The backend's kernel table, for the rules of fused operations."""
        return self.backend.kernels

    def _forward(self, operation: Operation) -> Callable[..., Any]:
        if operation.forward is not None:
            return partial(operation.forward, self.backend.xp)

        def call(*arrays: Any, **attributes: Any) -> Any:
            result = operation.run(self.backend, arrays, attributes)
            return result[0] if type(result) is tuple else result

        return call


class _ArrayOperations(dict[type, Operations]):
    """Array type -> the namespace F for arrays of that type."""

    def __missing__(self, array_type: type) -> Operations:
        backend = BACKENDS[array_type]
        operations = self.get(backend.array_type) or ArrayOperations(backend)
        self[backend.array_type] = self[array_type] = operations
        return operations


ARRAY_OPERATIONS = _ArrayOperations()

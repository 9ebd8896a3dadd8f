"""Containers: Sequential and ModuleList."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tinynn.nn import functional as F
from tinynn.nn.activation import FUSED
from tinynn.nn.linear import Linear
from tinynn.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Self = TypeVar("Self", bound="_List")


class _List(Module):
    """Modules under the names "0", "1", ..., with a list's methods."""

    def _modules(self) -> dict[str, Module]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Module)}

    def _replace_all(self, modules: Iterable[Module]) -> None:
        for name in self._modules():
            delattr(self, name)
        for index, module in enumerate(modules):
            self.add_module(str(index), module)

    def __len__(self) -> int:
        return len(self._modules())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules().values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self: Self, index: slice) -> Self: ...
    def __getitem__(self: Self, index: int | slice) -> Module | Self:
        if isinstance(index, slice):
            part: Self = object.__new__(type(self))
            part._replace_all(list(self)[index])
            return part
        return list(self)[self._checked(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(list(self._modules())[self._checked(index)], module)

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        del modules[index]
        self._replace_all(modules)

    def _checked(self, index: int) -> int:
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"{type(self).__name__}: index {index} is out of range for {length}")
        return index

    def append(self: Self, module: Module) -> Self:
        """Adds a module at the end, and returns the container."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self: Self, modules: Iterable[Module]) -> Self:
        """Adds modules at the end, and returns the container."""
        for module in modules:
            self.append(module)
        return self

    def insert(self: Self, index: int, module: Module) -> Self:
        """Puts a module before another, and returns the container."""
        modules = list(self)
        modules.insert(index, module)
        self._replace_all(modules)
        return self


class ModuleList(_List):
    """A list whose modules are found by `parameters()`, `to()`, ...; it computes nothing itself.

    >>> import tinynn as tn
    >>> layers = tn.nn.ModuleList(tn.nn.Linear(8, 8) for _ in range(3))
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self.extend(modules or ())


class Sequential(_List):
    """Modules one after the other, each applied to the result of the one before.

    Arguments:
        args: the modules, or one mapping of names to modules.

    A `Linear` followed by an activation that the fused operation knows is computed by that one
    operation, unless one of the two has hooks, which are to see what goes in between.

    >>> import tinynn as tn
    >>> model = tn.nn.Sequential(tn.nn.Linear(784, 128), tn.nn.ReLU(), tn.nn.Linear(128, 10))
    >>> model(tn.zeros(64, 784)).shape
    (64, 10)
    >>> model
    Sequential(
      (0): Linear(in_features=784, out_features=128, bias=True)
      (1): ReLU()
      (2): Linear(in_features=128, out_features=10, bias=True)
    )  # 101,770 parameters
    """

    def __init__(self, *args: Module | Mapping[str, Module]) -> None:
        first = args[0] if len(args) == 1 else None
        named = first.items() if isinstance(first, Mapping) else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)  # type: ignore[arg-type]

    def forward(self, input: Any) -> Any:
        modules = list(self._modules().values())[::-1]
        while modules:
            module = modules.pop()
            activation = _fused_activation(module, modules[-1]) if modules else None
            if activation is not None and isinstance(module, Linear):
                modules.pop()
                input = F.linear_activation(input, module.weight, module.bias, *activation)
            else:
                input = module(input)
        return input


def _fused_activation(module: Module, following: Module) -> tuple[str, float | None] | None:
    """What to tell `linear_activation` if it can do the work of both modules, else None.

    These classes exactly, since a subclass may compute something else.
    """
    if (
        type(module) is Linear
        and type(following) in FUSED
        and not module.has_hooks()
        and not following.has_hooks()
    ):
        return FUSED[type(following)](following)
    return None

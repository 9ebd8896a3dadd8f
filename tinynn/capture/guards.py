"""What a plan depends on besides the arguments, and whether all of it is as it was.

A recorded step has built in what its Python code looked at: the values in the closure and in global
names, attributes of objects, numbers kept by modules, whether they train, which tensors need
gradients. Each is compared before a replay, the modules only if any module has had an attribute set
since.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinynn.autograd.tensor import Tensor
from tinynn.capture.lookups import CONTAINERS, MISSING, SCALARS, Lookups
from tinynn.capture.recorder import ANY
from tinynn.capture.traced import TracedArray
from tinynn.nn.module import Module, changes

if TYPE_CHECKING:
    from tinynn.autograd.node import Leaf
    from tinynn.capture.recorder import Recorder

# Containers with more items than this are not looked through at each call.
LARGE = 64


class Guards:
    """Everything that one plan depends on, as it was before the recorded run.

    Arguments:
        function: what is going to be recorded.
        arguments, keywords: of the call.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> None:
        self._cells: list[tuple[Any, Any, str]] = []
        self._names: list[tuple[Any, str, Any, str]] = []
        self._modules: list[tuple[Module, dict[str, Any]]] = []
        self._hooked = False
        self._changes = changes.count
        self._tensors: list[tuple[Any, ...]] = []
        self._gradients: list[tuple[Leaf, Any]] = []
        self._constants: list[tuple[Callable[[], Any], Any, str]] = []
        self._add(Lookups(function, arguments, keywords))

    def _add(self, found: Lookups) -> None:
        """Remembers what code looks at, as it is now."""
        self._cells += [
            (cell, _snapshot(cell.cell_contents), f"the variable {name}")
            for cell, name in found.cells
        ]
        self._names += [
            (namespace, key, _snapshot(namespace.get(key, MISSING)), text)
            for namespace, key, text in found.names
        ]
        for module in found.modules:
            state = _state(module).items()
            kept = {k: _snapshot(v) if isinstance(v, tuple) else v for k, v in state}
            self._modules.append((module, kept))
            self._hooked |= module.has_hooks()

    def complete(self, recorder: Recorder) -> None:
        """Adds what the recorded run has read."""
        self._tensors = list(recorder.tensors.values())
        for hook in {hook for *_, hooks in self._tensors for hook in hooks.values()}:
            self._add(Lookups(hook, (), {}))
        self._gradients = [
            (leaf, None if before is None else before.data)
            for leaf, before in recorder.leaves.items()
            if before is not ANY
        ]
        self._constants = [
            (constant.read, _snapshot(constant.value), constant.name)
            for constant in recorder.host.constants
        ]

    def settle_kept(self, put_back: bool) -> None:
        """Tensors of the run that it has assigned to variables and attributes get real arrays; or
        what was there before is put back."""
        for cell, before, _ in self._cells:
            if _is_of_run(cell.cell_contents):
                if put_back:
                    cell.cell_contents = _original(before)
                else:
                    _make_real(cell.cell_contents)
        places = [(namespace, key, before) for namespace, key, before, _ in self._names]
        places += [
            (vars(module), key, state.get(key, MISSING))
            for module, state in self._modules
            for key in vars(module)
        ]
        for namespace, key, before in places:
            value = namespace.get(key)
            if not _is_of_run(value):
                continue
            if not put_back or not isinstance(namespace, dict):
                _make_real(value)
            elif before is MISSING:
                del namespace[key]
            else:
                namespace[key] = _original(before)

    def changed(self) -> str | None:
        """What is not as it was, in words; None where all is."""
        return self.changed_in_python() or self._changed_around()

    def changed_in_python(self) -> str | None:
        """What of variables, attributes and modules is not as it was."""
        for cell, value, name in self._cells:
            if not _same(cell.cell_contents, value):
                return name
        for namespace, key, value, name in self._names:
            if not _same(namespace.get(key, MISSING), value):
                return name
        if self._changes != changes.count or self._hooked:
            return self._changed_module()
        return None

    def _changed_around(self) -> str | None:
        """What of tensors, gradients and constants is not as it was."""
        for tensor, array, node, hooks in self._tensors:
            if tensor.data is not array:
                return f"the memory of a tensor of shape {tensor.shape}"
            if tensor.node is not node:
                return f"requires_grad of a tensor of shape {tensor.shape}"
            if node is not None and (node.hooks or hooks) and node.hooks != hooks:
                return f"the hooks of a tensor of shape {tensor.shape}"
        for leaf, before in self._gradients:
            grad = leaf.grad
            if (grad is None) != (before is None) or (grad is not None and grad.data is not before):
                return "whether a tensor has a gradient already"
        for read, value, name in self._constants:
            if not _same(read(), value):
                return name
        return None

    def _changed_module(self) -> str | None:
        for module, state in self._modules:
            now = _state(module)
            names = [
                name
                for name in sorted(now.keys() | state.keys())
                if not _same(now.get(name, MISSING), state.get(name, MISSING))
            ]
            if names:
                return f"{', '.join(names)} of a {type(module).__name__}"
        self._changes = changes.count
        return None


def _is_of_run(value: Any) -> bool:
    return isinstance(value, Tensor) and isinstance(value.data, TracedArray)


def _make_real(tensor: Tensor) -> None:
    tensor.data = tensor.data.array


def _original(snapshot: Any) -> Any:
    return snapshot.container if type(snapshot) is _Copy else snapshot


def _same(now: Any, before: Any) -> bool:
    """Whether a value is as it was, given the snapshot of then."""
    kind = type(before)
    if kind is _Copy:
        return type(now) is before.kind and before.holds(now)
    if now is before:
        return True
    if type(now) is not kind or kind not in SCALARS:
        return False
    if now != before:
        return bool(now != now and before != before)  # both NaN
    return bool(now) or repr(now) == repr(before)  # 0.0 is not -0.0


class _Copy:
    """The items of a container as they were; of a large one, only how many."""

    __slots__ = ("container", "is_large", "items", "kind", "length")

    def __init__(self, container: Any) -> None:
        self.kind = type(container)
        self.length = len(container)
        self.container = container
        self.is_large = self.length > LARGE
        self.items: Any = None
        if not self.is_large:
            if isinstance(container, dict):
                self.items = {key: _snapshot(item) for key, item in container.items()}
            elif isinstance(container, list | tuple | deque):
                self.items = [_snapshot(item) for item in container]
            else:
                self.items = container.copy()

    def holds(self, now: Any) -> bool:
        """Whether a container of this kind has the same items."""
        if len(now) != self.length:
            return False
        if self.is_large:
            return now is self.container
        if isinstance(now, dict):
            return now.keys() == self.items.keys() and all(
                _same(now[key], item) for key, item in self.items.items()
            )
        if isinstance(now, list | tuple | deque):
            return all(map(_same, now, self.items))
        return bool(now == self.items)


def _snapshot(value: Any) -> Any:
    """A value as it is now: containers are copied, since they may be changed in place."""
    return _Copy(value) if isinstance(value, CONTAINERS) else value


def _state(module: Module) -> dict[str, Any]:
    """A module's attributes and hooks: what it holds itself, not what its containers do."""
    state: dict[str, Any] = {"training": module.training}
    for name, value in vars(module).items():
        if name in ("_forward_hooks", "_forward_pre_hooks"):
            state[name] = tuple(value.items())
        elif name not in module.counters:
            state[name] = value
    return state

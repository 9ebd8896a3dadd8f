"""What a plan depends on besides the arguments, and whether all of it is as it was.

A recorded step has built in what its Python code looked at: the values in the closure and in global
names, numbers kept by modules, whether they train, which tensors need gradients. Each is compared
before a replay, the modules only if any module has had an attribute set since.
"""

from __future__ import annotations

import dis
from collections.abc import Callable
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from tinynn.autograd.tensor import Tensor
from tinynn.capture.recorder import ANY
from tinynn.nn.module import Module, changes

if TYPE_CHECKING:
    from tinynn.autograd.node import Leaf
    from tinynn.capture.host import Constant
    from tinynn.capture.recorder import Recorder

# Containers with more items than this are not looked through at each call.
LARGE = 64
_SCALARS = (bool, int, float, complex, str, bytes, type(None))


class Guards:
    """Everything that one plan depends on, as it was before the recorded run.

    Arguments:
        function: what is going to be recorded.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        found = _Found()
        found.follow_callable(function)
        self._cells = found.cells
        self._names = found.names
        self._modules = [m for root in found.modules.values() for m in root.modules()]
        self._module_states = [_state(module) for module in self._modules]
        self._hooked = any(module.has_hooks() for module in self._modules)
        self._changes = changes.count
        self._tensors: list[tuple[Any, ...]] = []
        self._gradients: list[tuple[Leaf, Any]] = []
        self._constants: list[Constant] = []

    def complete(self, recorder: Recorder) -> None:
        """Adds what the recorded run has read."""
        self._tensors = [
            (tensor, array, node, None if node is None else node.hooks)
            for tensor, array, node in recorder.tensors.values()
        ]
        self._gradients = [
            (leaf, None if before is None else before.data)
            for leaf, before in recorder.leaves.items()
            if before is not ANY
        ]
        self._constants = recorder.host.constants

    def changed(self) -> str | None:
        """What is not as it was, in words; None where all is."""
        for cell, value, name in self._cells:
            if not _same(cell.cell_contents, value):
                return name
        for namespace, key, value, name in self._names:
            if not _same(namespace.get(key, _MISSING), value):
                return name
        for tensor, array, node, hooks in self._tensors:
            if tensor.data is not array:
                return f"the memory of a tensor of shape {tensor.shape}"
            if tensor.node is not node:
                return f"requires_grad of a tensor of shape {tensor.shape}"
            if node is not None and node.hooks is not hooks:
                return f"the hooks of a tensor of shape {tensor.shape}"
        for leaf, before in self._gradients:
            grad = leaf.grad
            if (grad is None) != (before is None) or (grad is not None and grad.data is not before):
                return "whether a tensor has a gradient already"
        for constant in self._constants:
            if not _same(constant.read(), constant.value):
                return constant.name
        if self._changes != changes.count or self._hooked:
            return self._changed_module()
        return None

    def _changed_module(self) -> str | None:
        for module, state in zip(self._modules, self._module_states, strict=True):
            now = _state(module)
            if now != state:
                names = {name for name, _ in set(now) ^ set(state)}
                return f"{', '.join(sorted(names))} of a {type(module).__name__}"
        self._changes = changes.count
        return None


def _same(now: Any, before: Any) -> bool:
    if now is before:
        return True
    kind = type(before)
    if kind is _Large:
        return now is before.container and len(now) == before.length
    if type(now) is not kind:
        return False
    if kind in _SCALARS:
        return bool(now == before)
    if kind in (tuple, list):
        return len(now) == len(before) and all(map(_same, now, before))
    if kind is dict:
        return now.keys() == before.keys() and all(_same(now[k], before[k]) for k in before)
    return False


def _state(module: Module) -> tuple[tuple[str, Any], ...]:
    """A module's attributes: scalars by value, others by identity."""
    state: list[tuple[str, Any]] = [("training", module.training)]
    for name, value in vars(module).items():
        if name in module.counters:
            continue
        if type(value) in _SCALARS or (
            type(value) is tuple and all(type(item) in _SCALARS for item in value)
        ):
            state.append((name, value))
        elif name in ("_forward_hooks", "_forward_pre_hooks"):
            state.append((name, tuple(map(id, value))))
        else:
            state.append((name, id(value)))
    return tuple(state)


_MISSING = object()


class _Found:
    """What the code of a function looks at."""

    def __init__(self) -> None:
        self.cells: list[tuple[Any, Any, str]] = []
        self.names: list[tuple[dict[str, Any], str, Any, str]] = []
        self.modules: dict[int, Module] = {}
        self._seen: set[Any] = set()

    def follow_callable(self, function: Any) -> None:
        """A function with its closure, globals and defaults; a method; an object that is called."""
        owner = None
        if isinstance(function, MethodType):
            owner, function = function.__self__, function.__func__
        if isinstance(function, FunctionType):
            self._follow_function(function, owner)
        else:
            self.follow(function)

    def _follow_function(self, function: FunctionType, owner: Any) -> None:
        is_ours = function.__module__.partition(".")[0] == "tinynn"
        if (function, id(owner)) in self._seen or (is_ours and owner is None):
            return
        self._seen.add((function, id(owner)))
        code = function.__code__
        roots: dict[str, Any] = {} if owner is None else {code.co_varnames[0]: owner}
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                roots[name] = cell.cell_contents
            except ValueError:  # assigned later on
                continue
            self.cells.append((cell, _snapshot(roots[name]), f"the variable {name}"))
        chains, loose = chains_in(code)
        for name, _ in chains:
            if name in function.__globals__ and name not in roots:
                roots[name] = function.__globals__[name]
                self._note(function.__globals__, name, f"the global {name}")
        for name, attributes in chains:
            if name in roots:
                self._follow_chain(roots[name], attributes, loose)
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        for value in (*roots.values(), *defaults):
            self.follow(value)

    def _follow_chain(self, value: Any, attributes: tuple[str, ...], loose: set[str]) -> None:
        """`value.one.two`: each attribute of a plain object on the way."""
        for name in (*attributes, ""):
            self.follow(value)
            held = getattr(value, "__dict__", None)
            if type(held) is not dict or isinstance(value, Module) or _tells_itself(value):
                return
            for other in sorted(loose & held.keys()):
                self._note(held, other, f"{type(value).__name__}.{other}")
            if name not in held:
                return
            self._note(held, name, f"{type(value).__name__}.{name}")
            value = held[name]

    def _note(self, namespace: dict[str, Any], key: str, name: str) -> None:
        if (id(namespace), key) not in self._seen:
            self._seen.add((id(namespace), key))
            self.names.append((namespace, key, _snapshot(namespace[key]), name))
            self.follow(namespace[key])

    def follow(self, value: Any) -> None:
        """What hangs on a value: modules with all below them, functions, what containers hold."""
        if isinstance(value, Module):
            self.modules[id(value)] = value
        elif isinstance(value, FunctionType | MethodType):
            self.follow_callable(value)
        elif type(value) in (list, tuple):
            for item in value:
                self.follow(item)
        elif type(value) is dict:
            for item in value.values():
                self.follow(item)
        elif not _tells_itself(value):
            call = getattr(type(value), "__call__", None)  # noqa: B004
            if isinstance(call, FunctionType):
                self._follow_function(call, value)


def _tells_itself(value: Any) -> bool:
    """Whether an object tells the recorder itself what a step depends on."""
    return isinstance(value, Tensor | ModuleType | type) or type(value).__module__.startswith(
        ("tinynn.optim", "tinynn.capture")
    )


class _Large:
    """Stands for a container of many items: the same one, of the same length, is unchanged."""

    def __init__(self, container: Any) -> None:
        self.container, self.length = container, len(container)


def _snapshot(value: Any) -> Any:
    """A value as it is now: lists and dicts are copied, since they may be changed in place."""
    if type(value) not in (list, tuple, dict):
        return value
    if len(value) > LARGE:
        return _Large(value)
    if type(value) is dict:
        return {key: _snapshot(item) for key, item in value.items()}
    return type(value)(map(_snapshot, value))


def chains_in(code: CodeType) -> tuple[list[tuple[str, tuple[str, ...]]], set[str]]:
    """The attributes that code looks up, also in functions inside it.

    Returns (variable, attributes looked up one after the other) for each variable that is read, and
    the attributes of what is computed, such as a local variable may be another name for.

    >>> def function(self, x):
    ...     model = self.trainer.model
    ...     return model.width * x
    >>> chains_in(function.__code__)
    ([('self', ('trainer', 'model')), ('model', ('width',)), ('x', ())], {'width'})
    """
    chains: list[tuple[str, tuple[str, ...]]] = []
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name in ("LOAD_ATTR", "LOAD_METHOD") and chains:
            variable, attributes = chains[-1]
            chains[-1] = variable, (*attributes, instruction.argval)
        elif name.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_GLOBAL", "LOAD_NAME")):
            read = instruction.argval
            chains.append((read[-1] if type(read) is tuple else read, ()))
        elif name not in ("CACHE", "NOP", "PUSH_NULL"):
            chains.append(("", ()))
    given = set(code.co_varnames[: code.co_argcount]) | set(code.co_freevars)
    loose = {a for v, names in chains if v in set(code.co_varnames) - given or not v for a in names}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inside, loose_inside = chains_in(constant)
            chains += inside
            loose |= loose_inside
    return [chain for chain in chains if chain[0]], loose

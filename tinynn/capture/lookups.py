"""What the code of a function looks at: variables, attributes and modules, found in its bytecode.

Functions are followed where they are called by a name that leads to them: from a variable of the
closure or a global, through attributes. Where a name is that of a local variable or a parameter, it
is not known what it holds: then every object that was reached is looked at for the attribute.
"""

from __future__ import annotations

import dis
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, NamedTuple

from tinynn.autograd.tensor import Tensor
from tinynn.nn.module import Module

MISSING = object()
SCALARS = (bool, int, float, complex, str, bytes, type(None))
CONTAINERS = (list, tuple, deque, dict, set, frozenset)
# Code that is not the user's: what it depends on is not followed.
_FOREIGN = {*sys.stdlib_module_names, "numpy", "numba", "cupy"}


class Name(NamedTuple):
    """A place where code finds a value: `namespace.get(key)`.

    Attributes:
        text: what it is, for people.
    """

    namespace: Any
    key: str
    text: str


class Lookups:
    """What a call of a function looks at.

    Attributes:
        cells: (variable of a closure, its name).
        names: globals, attributes, default arguments.
        modules: all modules that are used, with those inside them.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> None:
        self.cells: list[tuple[Any, str]] = []
        self.names: list[Name] = []
        self.modules: list[Module] = []
        self._seen: set[Any] = set()
        self._objects: dict[int, Any] = {}
        # Attributes that are read, or called, of what is not known.
        self._read: set[str] = set()
        self._called: set[str] = set()
        self._follow_callable(function, arguments, keywords)
        self._follow_unknown()

    # ---- functions

    def _follow_callable(
        self,
        function: Any,
        arguments: tuple[Any, ...] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> None:
        """A function, method, module, partial, or object with `__call__`."""
        if isinstance(function, partial):
            held = {"arguments": function.args, "keywords": function.keywords}
            for name in held:
                self._note(function, held, name, f"the {name} of a partial")
            arguments = (*function.args, *arguments)
            self._follow_callable(
                function.func, arguments, {**function.keywords, **(keywords or {})}
            )
            return
        owner = None
        if isinstance(function, MethodType):
            owner, function = function.__self__, function.__func__
        elif not isinstance(function, FunctionType):
            owner, kind = function, type(function)
            function = getattr(kind, "forward" if isinstance(owner, Module) else "__call__", None)
        if isinstance(function, FunctionType):
            positions = arguments if owner is None else (owner, *arguments)
            self._follow_function(function, owner, _bound(function, positions, keywords or {}))
        for value in (owner, *arguments, *(keywords or {}).values()):
            self.follow(value)

    def _follow_function(
        self, function: FunctionType, owner: Any, given: dict[str, Any] | None = None
    ) -> None:
        """A function with its closure, globals and defaults.

        Arguments:
            owner: the object whose method it is, or None.
            given: the arguments that are known, by name.
        """
        if (function, id(owner)) in self._seen or not _is_followed(function, owner):
            return
        self._seen.add((function, id(owner)))
        code = function.__code__
        roots = self._defaults(function)
        roots |= _bound(function, () if owner is None else (owner,), {}) if given is None else given
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                roots[name] = cell.cell_contents
            except ValueError:  # assigned later on
                continue
            self.cells.append((cell, name))
        for name in _globals_in(code):
            if name in function.__globals__:
                roots[name] = function.__globals__[name]
                self._note(function.__globals__, function.__globals__, name, f"the global {name}")
        for variable, attributes in chains_in(code):
            if variable in roots:
                self._follow_chain(roots[variable], [name for name, _ in attributes])
            else:
                self._read |= {name for name, is_called in attributes if not is_called}
                self._called |= {name for name, is_called in attributes if is_called}
        for value in roots.values():
            self.follow(value)

    def _defaults(self, function: FunctionType) -> dict[str, Any]:
        """The default arguments; those that may be changed in place are noted."""
        code = function.__code__
        names = code.co_varnames[: code.co_argcount]
        values = function.__defaults__ or ()
        defaults = dict(zip(names[len(names) - len(values) :], values, strict=True))
        defaults |= function.__kwdefaults__ or {}
        for name, value in defaults.items():
            if isinstance(value, CONTAINERS):
                self._note(function, defaults, name, f"the default of {name}")
        return defaults

    # ---- attributes

    def _follow_chain(self, value: Any, attributes: list[str]) -> None:
        """`value.one.two`: each attribute on the way."""
        for name in attributes:
            self.follow(value)
            value = self._attribute(value, name)
            if value is MISSING:
                return
        self.follow(value)

    def _attribute(self, value: Any, name: str) -> Any:
        """An attribute, noted; MISSING where it leads no further."""
        if isinstance(value, ModuleType):
            if _is_foreign(value.__name__):
                return MISSING
            self._note(value, vars(value), name, f"{value.__name__}.{name}")
            return vars(value).get(name, MISSING)
        if isinstance(value, type):
            return self._class_attribute(value, name, None)
        if tells_itself(value):
            return MISSING
        held = getattr(value, "__dict__", None)
        if type(held) is dict:
            item = held.get(name, MISSING)
            # Of a module, numbers, parameters and modules are compared all together.
            if not isinstance(value, Module) or isinstance(item, CONTAINERS):
                self._note(value, held, name, f"{type(value).__name__}.{name}")
            if item is not MISSING:
                return item
        return self._class_attribute(type(value), name, value)

    def _class_attribute(self, kind: type, name: str, owner: Any) -> Any:
        """An attribute that a class has: a value, a slot, or code to be followed."""
        base = next((base for base in kind.__mro__ if name in vars(base)), None)
        if base is None:
            return MISSING
        item = vars(base)[name]
        code = _code_behind(item)
        if code is not None:
            self._follow_function(code, kind if isinstance(item, classmethod) else owner)
            return MISSING
        if isinstance(item, MemberDescriptorType):
            if owner is not None:
                self._note(owner, _Slots(owner), name, f"{kind.__name__}.{name}")
            return getattr(owner, name, MISSING)
        if _is_foreign(base.__module__):
            return MISSING
        self._note(base, vars(base), name, f"{base.__name__}.{name}")
        return item

    def _note(self, place: Any, namespace: Any, key: str, text: str) -> None:
        if (id(place), key) not in self._seen:
            self._seen.add((id(place), key))
            self.names.append(Name(namespace, key, text))
            self.follow(namespace.get(key, None))

    def _follow_unknown(self) -> None:
        """Looks at all objects for the attributes of local variables and parameters."""
        done: set[tuple[int, str]] = set()
        while True:
            pending = [
                (value, name)
                for value in self._objects.values()
                for name in self._read | self._called
                if (id(value), name) not in done
            ]
            if not pending:
                return
            for value, name in sorted(pending, key=lambda item: item[1]):
                done.add((id(value), name))
                if name in self._read and _has(value, name):
                    self._follow_chain(value, [name])
                for base in type(value).__mro__ if name in self._called else ():
                    code = _code_behind(vars(base).get(name))
                    if code is not None:
                        self._follow_function(code, value)

    # ---- values

    def follow(self, value: Any) -> None:
        """What hangs on a value: modules with all inside, functions, what containers hold."""
        if isinstance(value, Module):
            self._follow_module(value)
        elif isinstance(value, FunctionType | MethodType | partial):
            self._follow_callable(value)
        elif isinstance(value, CONTAINERS):
            for item in value.values() if isinstance(value, dict) else value:
                if type(item) not in SCALARS:
                    self.follow(item)
        elif (
            not isinstance(value, (*SCALARS, ModuleType, type))
            and not tells_itself(value)
            and id(value) not in self._objects
        ):
            self._objects[id(value)] = value
            call = getattr(type(value), "__call__", None)  # noqa: B004
            if isinstance(call, FunctionType):
                self._follow_function(call, value)

    def _follow_module(self, root: Module) -> None:
        for module in root.modules():
            if id(module) in self._objects:
                continue
            self._objects[id(module)] = module
            self.modules.append(module)
            for hook in (
                *module._forward_pre_hooks.values(),
                *module._forward_hooks.values(),
                getattr(type(module), "forward", None),
            ):
                if isinstance(hook, FunctionType):
                    owner = module if hook is getattr(type(module), "forward", None) else None
                    self._follow_function(hook, owner)
                elif hook is not None:
                    self._follow_callable(hook)


def tells_itself(value: Any) -> bool:
    """Whether an object tells the recorder itself what a step depends on."""
    return isinstance(value, Tensor) or type(value).__module__.startswith(
        ("tinynn.optim", "tinynn.capture")
    )


class _Slots:
    """The attributes of an object without `__dict__`, by name."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self.owner, name, default)


def _is_foreign(module: str | None) -> bool:
    root = (module or "").partition(".")[0]
    return root in _FOREIGN or root == "tinynn"


def _is_followed(function: FunctionType, owner: Any) -> bool:
    """Whether a function is looked into: the user's, and methods of the library's objects."""
    if (function.__module__ or "").partition(".")[0] == "tinynn":
        return owner is not None and not isinstance(owner, Module)
    return not _is_foreign(function.__module__)


def _bound(
    function: FunctionType, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> dict[str, Any]:
    code = function.__code__
    return dict(zip(code.co_varnames[: code.co_argcount], arguments, strict=False)) | {**keywords}


def _code_behind(item: Any) -> FunctionType | None:
    """The function behind what a class holds: a method, a property."""
    for name in ("__func__", "fget", "func"):
        if not isinstance(item, FunctionType):
            item = getattr(item, name, item)
    return item if isinstance(item, FunctionType) else None


def _has(value: Any, name: str) -> bool:
    return name in getattr(value, "__dict__", ()) or any(
        name in vars(base) for base in type(value).__mro__
    )


def _globals_in(code: CodeType) -> Iterator[str]:
    """The names that code, and functions inside it, look up as globals."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_in(constant)


def chains_in(code: CodeType) -> list[tuple[str, tuple[tuple[str, bool], ...]]]:
    """The attributes that code, and functions inside it, look up, one after the other.

    Returns (variable, ((attribute, whether it is called at once), ...)) for each variable that is
    read; the variable is "" for something computed, or a local of a function inside.

    >>> def function(self, x):
    ...     model = self.trainer.model
    ...     return model.forward(x) * self.width
    >>> for variable, attributes in chains_in(function.__code__):
    ...     print(variable, *attributes) if attributes else None
    self ('trainer', False) ('model', False)
    model ('forward', True)
    self ('width', False)
    """
    chains: list[tuple[str, tuple[tuple[str, bool], ...]]] = []
    for instruction in dis.get_instructions(code):
        name, read = instruction.opname, instruction.argval
        if name in ("LOAD_ATTR", "LOAD_METHOD") and chains:
            is_called = name == "LOAD_METHOD"
            if sys.version_info >= (3, 12):  # they became one instruction, with a flag
                is_called = bool((instruction.arg or 0) & 1)
            variable, attributes = chains[-1]
            chains[-1] = variable, (*attributes, (read, is_called))
        elif name.startswith("LOAD_SUPER_ATTR"):
            chains.append(("", ((read, True),)))
        elif name.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_GLOBAL", "LOAD_NAME")):
            chains.append((read[-1] if type(read) is tuple else read, ()))
        elif name not in ("CACHE", "NOP", "PUSH_NULL"):
            chains.append(("", ()))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            own = set(constant.co_varnames)
            chains += [("" if v in own else v, names) for v, names in chains_in(constant)]
    return chains

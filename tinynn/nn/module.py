"""Module: a tree of layers that knows its parameters.

A module's parameters, buffers and children are simply its attributes, found by their type, in
the order in which they were first assigned. There is nothing to register and nothing that could
disagree with the attributes; a subclass that forgets `super().__init__()` works all the same.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from tinynn.autograd import Tensor
from tinynn.autograd.tensor import HookHandle
from tinynn.backend.recording import seen
from tinynn.nn.move import destination, move_module
from tinynn.nn.parameter import Parameter
from tinynn.nn.state import IncompatibleKeys, collect_state, load_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tinynn.backend.devices import Device
    from tinynn.backend.dtypes import DTypeLike

Self = TypeVar("Self", bound="Module")
NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Changes:
    """How often an attribute of any module was set: whoever depends on one looks only if it was."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


changes = Changes()


class Module:
    """The base of all layers and models.

    A subclass assigns parameters and other modules to attributes in `__init__`, and computes in
    `forward`, which is reached by calling the module.

    Attributes:
        training: whether it was last told to `train()` (the default) or to `eval()`.

    >>> import tinynn as tn
    >>> class Affine(tn.nn.Module):
    ...     def __init__(self):
    ...         self.scale = tn.nn.Parameter(tn.tensor([2.0]))
    ...         self.shift = tn.nn.Parameter(tn.tensor([1.0]))
    ...
    ...     def forward(self, x):
    ...         return self.scale * x + self.shift
    >>> Affine()(tn.tensor([3.0])).tolist()
    [7.0]
    >>> Affine()
    Affine()  # 2 parameters
    """

    training: bool = True
    _forward_hooks: Mapping[HookHandle, Callable[..., Any]] = NOTHING
    _forward_pre_hooks: Mapping[HookHandle, Callable[..., Any]] = NOTHING
    _buffer_names: Mapping[str, bool] = NOTHING  # name -> whether it goes into state_dict
    counters: tuple[str, ...] = ()  # attributes that count calls: no change of what is computed

    # ---- computing

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass has its own."""
        raise NotImplementedError(
            f"{type(self).__name__}: a module needs a method forward(self, ...); "
            "define it in the class"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.has_hooks():
            return self.forward(*args, **kwargs)
        for pre_hook in list(self._forward_pre_hooks.values()):
            changed = pre_hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        result = self.forward(*args, **kwargs)
        for hook in list(self._forward_hooks.values()):
            changed = hook(self, args, result)
            if changed is not None:
                result = changed
        return result

    def has_hooks(self) -> bool:
        """Whether calling it does more than `forward`."""
        return bool(self._forward_pre_hooks or self._forward_hooks)

    def register_forward_hook(self, hook: Callable[[Any, tuple[Any, ...], Any], Any]) -> HookHandle:
        """Calls `hook(module, args, output)` after every forward; what it returns, unless None,
        takes the output's place. `.remove()` on the handle takes the hook off.

        >>> import tinynn as tn
        >>> layer = tn.nn.ReLU()
        >>> handle = layer.register_forward_hook(lambda module, args, output: output + 1)
        >>> layer(tn.tensor([-1.0, 2.0])).tolist()
        [1.0, 3.0]
        >>> handle.remove()
        """
        changes.count += 1
        return HookHandle(vars(self).setdefault("_forward_hooks", {}), hook)

    def register_forward_pre_hook(self, hook: Callable[[Any, tuple[Any, ...]], Any]) -> HookHandle:
        """Calls `hook(module, args)` before every forward; what it returns, unless None, takes the
        arguments' place. `.remove()` on the handle takes the hook off."""
        changes.count += 1
        return HookHandle(vars(self).setdefault("_forward_pre_hooks", {}), hook)

    # ---- what it is made of

    def __setattr__(self, name: str, value: Any) -> None:
        # PyTorch's guard against the accident `layer.weight = layer.weight * 2`, after which the
        # weight would no longer be trained.
        present = vars(self).get(name)
        if value is not None and isinstance(present, (Parameter, Module)):
            kind = Parameter if isinstance(present, Parameter) else Module
            if not isinstance(value, kind):
                raise TypeError(
                    f"{type(self).__name__}.{name}: it is a {kind.__name__}, cannot assign a "
                    f"{type(value).__name__} to it; write into it under tn.no_grad(), or del it "
                    "first"
                )
        elif name in self._buffer_names and not (value is None or isinstance(value, Tensor)):
            raise TypeError(
                f"{type(self).__name__}.{name}: it is a buffer, expected a Tensor or None, got "
                f"{type(value).__name__}"
            )
        object.__setattr__(self, name, value)
        if name not in self.counters:
            changes.count += 1

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        changes.count += 1

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """The same as assigning the attribute; None keeps its place free."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"register_parameter: {name!r} must be a Parameter or None, got "
                f"{type(param).__name__}; wrap it in tn.nn.Parameter(...)"
            )
        setattr(self, name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Assigns a tensor that moves with the module and is saved with it (unless `persistent` is
        False), but is not trained: a running mean, a table of angles."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"register_buffer: {name!r} must be a Tensor or None, got {type(tensor).__name__}"
            )
        if name not in self._buffer_names and hasattr(self, name):
            raise KeyError(f"register_buffer: attribute {name!r} already exists")
        vars(self).setdefault("_buffer_names", {})[name] = persistent
        setattr(self, name, tensor)

    def add_module(self, name: str, module: Module | None) -> None:
        """The same as assigning the attribute; for names that are made up by a program."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(
                f"add_module: {name!r} must be a Module or None, got {type(module).__name__}"
            )
        if not name or "." in name:
            raise KeyError(f"add_module: name {name!r} must be non-empty and without a dot")
        setattr(self, name, module)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the modules directly below, each module once."""
        seen: set[Module] = set()
        for name, value in list(vars(self).items()):
            if isinstance(value, Module) and value not in seen:
                seen.add(value)
                yield name, value

    def children(self) -> Iterator[Module]:
        """The modules directly below."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """(path, module) of this module, whose path is `prefix`, and of all below it, parents
        first; a module found twice is given once, unless `remove_duplicate` is False."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, value in list(vars(self).items()):
            if isinstance(value, Module):
                path = f"{prefix}.{name}" if prefix else name
                yield from value.named_modules(memo, path, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, parents first, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(path, parameter) in order of assignment, a module's own before its children's; a tied
        parameter once, under its first path, unless `remove_duplicate` is False."""
        return self._named_tensors(Module._own_parameters, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters in order of assignment, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(path, tensor) of the buffers, as `named_parameters`."""
        return self._named_tensors(Module._own_buffers, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _own_parameters(self) -> list[tuple[str, Parameter]]:
        return [item for item in vars(self).items() if isinstance(item[1], Parameter)]

    def _own_buffers(self) -> list[tuple[str, Tensor]]:
        names = self._buffer_names
        return [(name, vars(self)[name]) for name in names if vars(self).get(name) is not None]

    def _named_tensors(
        self, own: Callable[[Module], Any], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[Tensor] = set()
        modules = self.named_modules(None, prefix, remove_duplicate)
        for path, module in modules if recurse else [(prefix, self)]:
            for name, tensor in own(module):
                if tensor not in seen:
                    if remove_duplicate:
                        seen.add(tensor)
                    yield (f"{path}.{name}" if path else name), tensor

    def get_submodule(self, target: str) -> Module:
        """The module at a path such as `"layers.0"`; AttributeError names the part not found."""
        module: Module = self
        for name in target.split(".") if target else ():
            child = vars(module).get(name)
            if not isinstance(child, Module):
                known = ", ".join(name for name, _ in module.named_children()) or "none"
                raise AttributeError(
                    f"get_submodule: {type(module).__name__} has no module {name!r} "
                    f"(of {target!r}); it has: {known}"
                )
            module = child
        return module

    # ---- telling all of it something

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Calls `fn` on every module below, then on this one; how weights are initialised anew.

        >>> import tinynn as tn
        >>> def zero_biases(module):
        ...     if isinstance(module, tn.nn.Linear):
        ...         tn.nn.init.zeros_(module.bias)
        >>> tn.nn.Sequential(tn.nn.Linear(2, 3)).apply(zero_biases)[0].bias.tolist()
        [0.0, 0.0, 0.0]
        """
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self: Self, mode: bool = True) -> Self:
        """Says to this module and all below that they are being trained: dropout drops."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: mode must be a bool, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Says to this module and all below that they are being used: dropout does nothing."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Makes all parameters trained, or frozen."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets all gradients, or with `set_to_none=False` writes zeros into them."""
        for parameter in self.parameters():
            clear_gradient(parameter, set_to_none)

    def to(
        self: Self, *args: Device | DTypeLike, device: Any = None, dtype: DTypeLike | None = None
    ) -> Self:
        """Moves parameters, gradients and buffers to a device, or to a floating dtype, or to both.

        The module itself is changed, and returned; its parameters stay the same objects, so that
        an optimizer made before goes on working. Integer buffers keep their dtype. TypeError for a
        dtype that is not floating.

        >>> import tinynn as tn
        >>> tn.nn.Linear(2, 3).to(tn.float64).weight.dtype
        dtype('float64')
        """
        move_module(self, *destination(args, device, dtype))
        return self

    def _move_extra(self, device: Device) -> None:
        """Moves what a subclass keeps beside parameters and buffers, for `to`."""

    # ---- saving and loading

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """{path: tensor} of all parameters and persistent buffers, and of modules' extra state.

        The tensors share memory with the module: clone them to keep them through training. A tied
        parameter is found under each of its paths.

        >>> import tinynn as tn
        >>> list(tn.nn.Sequential(tn.nn.Linear(2, 3), tn.nn.ReLU()).state_dict())
        ['0.weight', '0.bias']
        """
        return collect_state(self, prefix)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Copies tensors or arrays, by path, into the module; dtypes and devices are converted.

        Everything is checked before anything is copied. RuntimeError lists all missing and
        unexpected names (unless `strict` is False) and all wrong shapes beside the expected ones.
        Returns (missing_keys, unexpected_keys).

        >>> import tinynn as tn
        >>> tn.nn.Linear(2, 3).load_state_dict(tn.nn.Linear(2, 4).state_dict())
        Traceback (most recent call last):
            ...
        RuntimeError: load_state_dict: this state does not fit Linear:
          wrong shape: weight is (4, 2), expected (3, 2)
          wrong shape: bias is (4,), expected (3,)
        """
        return load_state(self, state_dict, strict)

    def get_extra_state(self) -> Tensor | None:
        """What a module must remember besides its tensors, as a tensor (dropout: where its random
        numbers are); None for nothing."""
        return None

    def set_extra_state(self, state: Tensor) -> None:
        """Takes back what `get_extra_state` gave."""
        raise NotImplementedError(f"{type(self).__name__}: there is no extra state to set")

    # ---- showing

    def extra_repr(self) -> str:
        """The text between the brackets of its repr."""
        return ""

    def __repr__(self) -> str:
        return self._tree() + _parameter_count(self)

    def _tree(self) -> str:
        lines = [f"({name}): {child._tree()}" for name, child in self.named_children()]
        name, extra = type(self).__name__, self.extra_repr()
        if not lines:
            return f"{name}({extra})"
        indented = "\n".join(lines).replace("\n", "\n  ")
        return f"{name}({extra}\n  {indented}\n)"


def clear_gradient(parameter: Tensor, set_to_none: bool) -> None:
    """Forgets a gradient, or writes zeros into it."""
    if set_to_none:
        parameter.grad = None
    elif parameter.grad is not None:
        parameter.grad = parameter.grad.detach()
        seen(parameter.grad.data)[...] = 0
        parameter.grad.bump_version()


def _parameter_count(module: Module) -> str:
    parameters = list(module.parameters())
    total = sum(parameter.data.size for parameter in parameters)
    frozen = sum(parameter.data.size for parameter in parameters if not parameter.requires_grad)
    if not total:
        return ""
    return f"  # {total:,} parameters" + (f", {frozen:,} of them frozen" if frozen else "")

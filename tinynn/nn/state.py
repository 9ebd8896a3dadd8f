"""What `Module.state_dict` and `Module.load_state_dict` do.

Beside parameters and persistent buffers a state holds the extra state of modules that have one, a
tensor under the path `MODULE._extra_state`. A state that comes from elsewhere may lack it.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tinynn.autograd import Tensor
from tinynn.backend.devices import BACKENDS, device_of, transfer
from tinynn.backend.dtypes import category

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinynn.nn.module import Module

EXTRA_STATE = "_extra_state"


class IncompatibleKeys(tuple[list[str], list[str]]):
    """(missing_keys, unexpected_keys): the names that a module and a state do not share."""

    missing_keys = property(itemgetter(0))
    unexpected_keys = property(itemgetter(1))

    def __repr__(self) -> str:
        if not any(self):
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self[0]}, unexpected_keys={self[1]})"


def collect_state(module: Module, prefix: str = "") -> dict[str, Tensor]:
    """{path: tensor}, the tensors sharing memory with the module."""
    state = {path: tensor.detach() for path, tensor in _saved_tensors(module, prefix)}
    state |= {path: extra for path, _, extra in _extra_states(module, prefix)}
    return state


def load_state(module: Module, state: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """Copies a state into a module, after checking all of it."""
    if not isinstance(state, Mapping):
        raise TypeError(
            "load_state_dict: expected a mapping of names to tensors, as state_dict() gives, got "
            f"{type(state).__name__}"
        )
    tensors = dict(_saved_tensors(module, ""))
    extras = {path: (owner, extra) for path, owner, extra in _extra_states(module, "")}
    expected = tensors | {path: extra for path, (_, extra) in extras.items()}
    missing = [path for path in tensors if path not in state]
    unexpected = [path for path in state if path not in expected]
    problems = [_misfit(path, state[path], expected[path]) for path in state if path in expected]
    if strict:
        problems += [f"missing: {path} {tensors[path].shape}" for path in missing]
        problems += [f"unexpected: {path} {_shape(state[path])}" for path in unexpected]
    problems = [problem for problem in problems if problem]
    if problems:
        lines = "\n  ".join(str(problem) for problem in problems)
        raise RuntimeError(
            f"load_state_dict: this state does not fit {type(module).__name__}:\n  {lines}"
        )
    for path, tensor in tensors.items():
        if path in state:
            write(tensor, _array(state[path]))
    for path, (owner, _) in extras.items():
        if path in state:
            owner.set_extra_state(Tensor(_array(state[path])))
    return IncompatibleKeys((missing, unexpected))


def write(tensor: Tensor, array: Any) -> None:
    """Copies an array into a tensor's memory, to its device and in its dtype, unrecorded."""
    tensor.data[...] = transfer(array, device_of(tensor.data)).astype(tensor.data.dtype, copy=False)
    tensor.bump_version()


def _saved_tensors(module: Module, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for path, owner in module.named_modules(None, prefix.removesuffix("."), False):
        persistent = owner._buffer_names
        own = owner._own_parameters() + [
            item for item in owner._own_buffers() if persistent[item[0]]
        ]
        for name, tensor in own:
            yield (f"{path}.{name}" if path else name), tensor


def _extra_states(module: Module, prefix: str) -> Iterator[tuple[str, Module, Tensor]]:
    for path, owner in module.named_modules(None, prefix.removesuffix("."), False):
        extra = owner.get_extra_state()
        if extra is not None:
            yield (f"{path}.{EXTRA_STATE}" if path else EXTRA_STATE), owner, extra


def _misfit(path: str, value: Any, expected: Tensor) -> str | None:
    """What is wrong with a value, or None."""
    try:
        array = _array(value)
        category(array.dtype)
    except TypeError as error:
        return f"not a tensor: {path} ({error})"
    if tuple(array.shape) != expected.shape:
        return f"wrong shape: {path} is {tuple(array.shape)}, expected {expected.shape}"
    return None


def _array(value: Any) -> Any:
    array = value.data if isinstance(value, Tensor) else value
    BACKENDS[type(array)]  # a TypeError names what is not an array
    return array


def _shape(value: Any) -> Any:
    return tuple(getattr(value, "shape", ())) or type(value).__name__

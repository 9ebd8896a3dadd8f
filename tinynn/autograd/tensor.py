"""The tensor: an array, and where it came from.

Most methods are operations; they are attached by `tinynn.ops.methods` and typed in `tensor.pyi`.
"""

from __future__ import annotations

from typing import Any

from tinynn.autograd.node import Leaf, Node
from tinynn.autograd.version import Version, last_change, tick
from tinynn.backend import recording
from tinynn.backend.devices import BACKENDS, Device, device_of
from tinynn.backend.dtypes import is_floating

new = object.__new__
RETAINED = "retain_grad"


class Tensor:
    """An n-dimensional array that remembers how it was computed.

    `Tensor(array)` wraps an array of a known backend without copying it; `tn.tensor(...)` makes one
    from numbers, lists or arrays, and copies.

    Attributes:
        data: the raw array. Whoever writes into it calls `bump_version()`.
        node: the operation that computed it, its Leaf if it is one that requires grad, or None.

    >>> import tinynn as tn
    >>> tn.tensor([[1, 2], [3, 4]]).sum(dim=0)
    tensor([4, 6])
    """

    __slots__ = ("__weakref__", "_version", "data", "node")

    # NumPy then leaves `array * tensor` to the tensor, and refuses `np.multiply(array, tensor)`.
    __array_ufunc__ = None

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        backend = BACKENDS[type(data)]  # a TypeError names what is not an array
        if type(data) is not backend.array_type:  # a NumPy scalar, a memory map
            data = backend.xp.asarray(data)
        self.data = data
        self.node: Node | Leaf | None = None
        self._version: Version | None = None
        if requires_grad:
            self.requires_grad_()

    @property
    def requires_grad(self) -> bool:
        """Whether operations on it are recorded, so that it gets a gradient."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Turns recording on or off for a leaf, and returns it.

        Raises RuntimeError for integers and bools, and for a tensor that was computed.
        """
        if isinstance(self.node, Node):
            if not requires_grad:
                raise RuntimeError(
                    "requires_grad: this tensor was computed; use .detach() to cut it off"
                )
        elif not requires_grad:
            self.node = None
        elif not is_floating(self.data.dtype):
            raise RuntimeError(
                f"requires_grad: only floats can have gradients, this tensor is {self.data.dtype}"
            )
        elif self.node is None:
            self.node = Leaf()
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether it was given rather than computed from something that requires grad."""
        return not isinstance(self.node, Node)

    @property
    def grad(self) -> Tensor | None:
        """The gradient collected by backward passes; None until there is one."""
        node = self.node
        if isinstance(node, Leaf):
            if recording.active is not None:
                recorder = recording.current()
                if recorder is not None:
                    recorder.gradient_read(self, node)
            return node.grad
        retained = None if node is None or node.hooks is None else node.hooks.get(RETAINED)
        return None if retained is None else retained.grad  # type: ignore[attr-defined]

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        node = self.node
        if recording.active is not None and isinstance(node, Leaf):
            recorder = recording.current()
            if recorder is not None:
                recorder.gradient_written(node)
        if value is None:
            if isinstance(node, Leaf):
                node.grad = None
            elif node is not None and node.hooks is not None and RETAINED in node.hooks:
                node.hooks[RETAINED] = _Retained()
            return
        if not isinstance(value, Tensor):
            raise TypeError(f"grad: expected None or a tensor, got {type(value).__name__}")
        for what in ("shape", "dtype", "device"):
            mine, its = getattr(self, what), getattr(value, what)
            if mine != its:
                raise RuntimeError(f"grad: expected a gradient of {what} {mine}, got {its}")
        if not isinstance(node, Leaf):
            raise RuntimeError("grad: only a leaf that requires grad has a gradient to set")
        node.grad = value

    def retain_grad(self) -> None:
        """Keeps the gradient of a computed tensor, too, in `.grad`."""
        if self.node is None:
            raise RuntimeError("retain_grad: the tensor does not require grad")
        if isinstance(self.node, Node):
            _hooks(self.node).setdefault(RETAINED, _Retained())

    def register_hook(self, hook: Any) -> HookHandle:
        """Calls `hook(gradient)` when a backward pass has the gradient of this tensor.

        A hook may return another gradient to go on with. `.remove()` on the handle takes it off.

        >>> import tinynn as tn
        >>> x = tn.tensor([1.0, -1.0], requires_grad=True)
        >>> handle = x.register_hook(lambda gradient: gradient * 10)
        >>> x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        if self.node is None:
            raise RuntimeError("register_hook: the tensor does not require grad")
        hooks = _hooks(self.node)
        handle = HookHandle(hooks, hook)
        if RETAINED in hooks:  # what is retained is the gradient after all hooks
            hooks[RETAINED] = hooks.pop(RETAINED)
        return handle

    def bump_version(self) -> None:
        """Says that the array was written to, so that a graph that saved it will refuse to run."""
        version = shared_version(self)
        version.time = last_change.time = tick()
        if recording.active is not None:
            recorder = recording.current()
            if recorder is not None:
                recorder.bumped(version)

    def detach(self) -> Tensor:
        """The same memory, cut off from the graph."""
        return make_tensor(self.data, None, shared_version(self))

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its dimensions."""
        return tuple(self.data.shape)

    @property
    def dtype(self) -> Any:
        """The dtype of its elements, a NumPy dtype."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """The number of its dimensions."""
        return int(self.data.ndim)

    @property
    def device(self) -> Device:
        """Where its memory is."""
        return device_of(self.data)

    def __len__(self) -> int:
        if not self.data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return int(self.data.shape[0])

    def __hash__(self) -> int:
        return id(self)

    def __copy__(self) -> Tensor:
        copy = type(self)(self.data, False)
        copy.node, copy._version = self.node, shared_version(self)
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError("deepcopy: the tensor was computed; .detach() it first")
        memo[id(self)] = copy = type(self)(self.data.copy(), self.requires_grad)
        return copy

    def __reduce__(self) -> Any:
        raise TypeError("a tensor is not pickled; save state_dict() with tn.save")


class HookHandle:
    """What registering a hook returns; `remove()` takes the hook off again."""

    def __init__(self, hooks: dict[Any, Any], hook: Any) -> None:
        self._hooks = hooks
        hooks[self] = hook

    def remove(self) -> None:
        """Takes the hook off; a second call does nothing."""
        self._hooks.pop(self, None)


class _Retained:
    """The hook behind `retain_grad`."""

    grad: Tensor | None = None

    def __call__(self, gradient: Tensor) -> None:
        self.grad = gradient.clone() if self.grad is None else self.grad + gradient


def make_tensor(data: Any, node: Node | Leaf | None, version: Version | None) -> Tensor:
    """A tensor from its parts, without the checks of the constructor."""
    tensor: Tensor = new(Tensor)
    tensor.data = data
    tensor.node = node
    tensor._version = version
    return tensor


def shared_version(tensor: Tensor) -> Version:
    """The version that a tensor and the views of it have in common."""
    if tensor._version is None:
        tensor._version = Version()
    return tensor._version


def _hooks(node: Node | Leaf) -> dict[Any, Any]:
    if node.hooks is None:
        node.hooks = {}
    return node.hooks

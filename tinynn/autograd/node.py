"""What the tape is made of: nodes for what was computed, leaves for what was given.

A node holds its parents, never its output, so a graph has no reference cycles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tinynn.backend import recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinynn.autograd.checkpointing import Dropped
    from tinynn.autograd.operation import Operation
    from tinynn.autograd.tensor import Tensor
    from tinynn.autograd.version import Version

    Hook: TypeAlias = Callable[[Tensor], Tensor | None]


class Node:
    """One recorded operation.

    Attributes:
        order: the clock when it was made.
        operation: what was computed.
        parents: for each array argument, the node or leaf behind it, or None.
        saved: what the gradient rules read: arrays, shapes, scalars; None once freed, and Dropped
            where it is to be computed again (see checkpointing.py).
        sources: for each saved value, the tensor it came from, the Version of the result (whose
            tensor would close a reference cycle), or None.
        inputs: the arguments themselves, kept only by fused operations.
        attributes: the operation's keyword arguments.
        shapes: the arguments' shapes where broadcasting changed one, else None.
        hooks: functions on the gradient of the result, by handle, or None.
    """

    __slots__ = (
        "__weakref__",
        "attributes",
        "hooks",
        "inputs",
        "operation",
        "order",
        "parents",
        "saved",
        "shapes",
        "sources",
    )

    order: int
    operation: Operation
    parents: tuple[Node | Leaf | None, ...]
    saved: tuple[Any, ...] | Dropped | None
    sources: tuple[Tensor | Version | None, ...]
    inputs: tuple[Any, ...] | None
    attributes: dict[str, Any]
    shapes: tuple[tuple[int, ...] | None, ...] | None
    hooks: dict[Any, Hook] | None

    def __lt__(self, other: Node) -> bool:
        return self.order > other.order

    def __repr__(self) -> str:
        return f"<{self.operation.name} node {self.order}>"


class Leaf:
    """Where gradients of a tensor that was not computed are collected.

    `slot` is the array, a part of an optimizer's flat buffer, that the gradient is to lie in.
    """

    __slots__ = ("__weakref__", "grad", "hooks", "slot")

    order = 0

    def __init__(self) -> None:
        self.grad: Tensor | None = None
        self.slot: Any = None
        self.hooks: dict[Any, Hook] | None = None

    def slot_for(self, array: Any) -> Any:
        """The slot, if an array of this shape and dtype fits in; None where there is none.

        It does not fit from the moment when the tensor gets another array to the optimizer's next
        step.
        """
        slot = self.slot
        if slot is None or slot.shape != array.shape or slot.dtype != array.dtype:
            return None
        return recording.seen(slot) if recording.active is not None else slot

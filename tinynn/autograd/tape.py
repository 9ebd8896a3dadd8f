"""The walk back over the tape.

Nodes are numbered as they are made and a parent is always older, so taking the youngest node first
is a topological order, and the walk needs a heap in place of recursion.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd.checkpointing import computed_again
from tinynn.autograd.door import RECORDING
from tinynn.autograd.grad_mode import Mode, enable_grad, grad_mode
from tinynn.autograd.node import Leaf, Node
from tinynn.autograd.operation import ARRAY_OPERATIONS
from tinynn.autograd.tensor import Tensor, make_tensor
from tinynn.autograd.version import Version, last_change
from tinynn.backend import recording

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinynn.autograd.checkpointing import SecondRuns
    from tinynn.autograd.node import Hook
    from tinynn.autograd.operation import Operation


def walk(
    pending: dict[Node | Leaf, Any],
    record: bool,
    keep: bool,
    targets: set[Node | Leaf] | None = None,
) -> dict[Node | Leaf, Any]:
    """The gradients behind some roots: of every leaf, or of the targets only.

    Arguments:
        pending: the gradient of each root, the walk's own to keep; used up.
        record: whether gradients are tensors, recorded in turn (`create_graph`), or plain arrays.
        keep: whether nodes keep what they saved, for another walk (`retain_graph`).
        targets: the nodes and leaves whose gradients are wanted; None wants those of all leaves.
    """
    if record and not grad_mode.enabled:
        with enable_grad():
            return walk(pending, record, keep, targets)
    heap: list[Any] = [root for root in pending if root.order]
    path: Any = None if targets is None else path_to(targets, pending)
    wanted: Any = None if targets is None else path | targets
    captured: dict[Node | Leaf, Any] = {}
    second_runs: SecondRuns = {}
    listener = recording.current_listener()
    heapify(heap)

    def push(parent: Node | Leaf, result: Any, operation: Operation) -> None:
        """Adds a gradient to what a parent has got so far."""
        present = pending.get(parent)
        if present is None:
            if isinstance(parent, Node):
                heappush(heap, parent)
            elif operation.borrows and not record:
                # What a leaf collects is its own memory, so that it can be added to in place.
                result = result.copy()
            pending[parent] = result
        elif parent.order or record:
            pending[parent] = present + result
        else:
            present += result  # in place, but for the scalars that NumPy makes of 0-d arrays
            pending[parent] = present

    while heap:
        node = heappop(heap)
        gradient = pending.pop(node)
        if node.hooks is not None:
            gradient = call_hooks(node.hooks, gradient, record)
        parents = node.parents
        if path is not None:
            if node in targets:  # type: ignore[operator]
                captured[node] = gradient
            if node not in path:
                continue
            parents = tuple([item if item in wanted else None for item in parents])
        used = node
        if type(node.saved) is not tuple:
            if node.saved is None:
                raise freed(node)
            used = computed_again(node, second_runs)
        saved, operation = used.saved, node.operation
        if last_change.time > used.order:
            check_unchanged(used)
        if listener is not None:
            listener.backward(used)
        if record:
            namespace, saved = RECORDING, recorded(used)
        else:
            namespace = ARRAY_OPERATIONS[type(gradient)]
        if operation.pair and used.shapes is None and not used.attributes:
            # A product of two tensors, the most common node, is spared loops and unpacking.
            (left, right), (first, second), rules = parents, saved, operation.vjps
            if left is not None:
                push(left, rules[0](namespace, gradient, first, second), operation)
            if right is not None:
                push(right, rules[1](namespace, gradient, first, second), operation)
        else:
            # Only what goes into `.grad` may be written to its place there.
            given = pending if path is None else None
            results = node_gradients(used, parents, namespace, gradient, saved, given)
            for parent, result in zip(parents, results, strict=True):
                if parent is not None:
                    push(parent, result, operation)
        if listener is not None:
            listener.backward_done(used, (gradient, *saved, *map(pending.get, parents)))
        if not keep:
            node.saved = node.inputs = None
            node.parents = node.sources = ()
    for leaf, gradient in pending.items():
        if leaf.hooks is not None:
            gradient = call_hooks(leaf.hooks, gradient, record)
            # A hook may have kept what it saw, or returned what it has.
            pending[leaf] = gradient if record else gradient.copy()
    if captured:
        pending.update(captured)
    return pending


def node_gradients(
    node: Node,
    parents: Sequence[Node | Leaf | None],
    namespace: Any,
    gradient: Any,
    saved: Sequence[Any],
    pending: dict[Node | Leaf, Any] | None,
) -> Sequence[Any]:
    """The gradients for all parents of a node, in their shapes; None where none is wanted.

    Without `pending` none of them may be written where an optimizer keeps the gradients of leaves.
    """
    if node.operation.quiet:
        with np.errstate(all="ignore"):
            results = rule_gradients(node, parents, namespace, gradient, saved, pending)
    else:
        results = rule_gradients(node, parents, namespace, gradient, saved, pending)
    if node.shapes is None:
        return results
    return [
        result if result is None or shape is None else sum_to_shape(namespace, result, shape)
        for result, shape in zip(results, node.shapes, strict=True)
    ]


def rule_gradients(
    node: Node,
    parents: Sequence[Node | Leaf | None],
    namespace: Any,
    gradient: Any,
    saved: Sequence[Any],
    pending: dict[Node | Leaf, Any] | None,
) -> Sequence[Any]:
    """What the rules of a node's operation give; see `node_gradients`."""
    operation = node.operation
    if operation.vjps:
        results: Sequence[Any] = [
            None if parent is None else rule(namespace, gradient, *saved, **node.attributes)
            for parent, rule in zip(parents, operation.vjps, strict=False)
        ]
    elif namespace is RECORDING:
        results = gradients_unfused(node, gradient)
    else:
        needs = tuple([parent is not None for parent in parents])
        assert node.inputs is not None
        into = tuple([free_slot(*pair, pending) for pair in zip(parents, node.inputs, strict=True)])
        assert operation.joint_vjp is not None
        results = operation.joint_vjp(
            namespace, gradient, *saved, needs=needs, into=into, **node.attributes
        )
    if operation.rounds:
        results = [
            None if result is None else namespace.cast(result, dtype=gradient.dtype)
            for result in results
        ]
    return results


def free_slot(
    parent: Node | Leaf | None, argument: Any, pending: dict[Node | Leaf, Any] | None
) -> Any:
    """The place for the gradient of a leaf that has none yet, to be written into; else None."""
    if pending is None or not isinstance(parent, Leaf):
        return None
    if parent.grad is not None or parent in pending:
        return None
    return parent.slot_for(argument.data)


def call_hooks(hooks: dict[Any, Hook], gradient: Any, record: bool) -> Any:
    """The gradient after the hooks on it, each of which may put another in its place."""
    tensor = gradient if record else Tensor(gradient)
    with Mode(record):
        for hook in list(hooks.values()):
            result = hook(tensor)
            if result is None:
                continue
            if not isinstance(result, Tensor) or (
                (result.data.shape, result.data.dtype) != (tensor.data.shape, tensor.data.dtype)
            ):
                raise RuntimeError(
                    f"register_hook: a hook must return None or a gradient of shape {tensor.shape} "
                    f"and {tensor.dtype}, got {_described(result)}"
                )
            tensor = result
    return tensor if record else tensor.data


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {value.shape} and {value.dtype}"
    return type(value).__name__


def path_to(targets: set[Node | Leaf], roots: Iterable[Node | Leaf]) -> set[Node | Leaf]:
    """The nodes between the roots and the targets: those with a target behind them.

    Raises RuntimeError where the way to a target may have led through nodes already freed.
    """
    oldest = min((target.order for target in targets), default=0)
    reached: set[Node] = set()
    met: set[Node | Leaf | None] = set(roots)
    used: Node | None = None
    stack = [root for root in roots if isinstance(root, Node)]
    while stack:
        node = stack.pop()
        if node in reached or node.order <= oldest:
            continue
        reached.add(node)
        if node.saved is None:
            used = node
        met.update(node.parents)
        stack.extend(parent for parent in node.parents if isinstance(parent, Node))
    if used is not None and not targets <= met:
        raise freed(used)
    path: set[Node | Leaf] = set()
    for node in sorted(reached, reverse=True):  # oldest first
        if any(parent in targets or parent in path for parent in node.parents):
            path.add(node)
    return path


def gradients_unfused(node: Node, gradient: Tensor) -> Sequence[Any]:
    """Recorded gradients of a fused operation: those of its definition without the fusion.

    Aliases of the inputs cut that definition off from the graph behind the inputs, and yet lead to
    it, so that the gradients found are functions of the inputs themselves.
    """
    operation = node.operation
    if operation.unfused is None:
        raise RuntimeError(
            f"{operation.name}: this fused operation has no second derivative; write it with the "
            "ordinary operations where create_graph=True is needed"
        )
    assert node.inputs is not None
    with enable_grad():
        aliases = [
            item if parent is None else RECORDING.alias(item)
            for item, parent in zip(node.inputs, node.parents, strict=True)
        ]
        result = operation.unfused(RECORDING, *aliases, **node.attributes)
    ends = [
        None if parent is None else alias.node
        for alias, parent in zip(aliases, node.parents, strict=True)
    ]
    targets = {end for end in ends if end is not None}
    gradients = walk({result.node: gradient}, record=True, keep=True, targets=targets)
    return [None if end is None else gradients.get(end) for end in ends]


def sum_to_shape(namespace: Any, gradient: Any, shape: tuple[int, ...]) -> Any:
    """A gradient summed over the dimensions that broadcasting added or stretched."""
    if gradient.shape == shape:
        return gradient
    added = len(gradient.shape) - len(shape)
    stretched = tuple(
        added + dim
        for dim, size in enumerate(shape)
        if size == 1 and gradient.shape[added + dim] != 1
    )
    if stretched:
        gradient = namespace.sum(gradient, dim=stretched, keepdim=True)
    if added:
        gradient = namespace.sum(gradient, dim=tuple(range(added)), keepdim=False)
    return gradient


def recorded(node: Node) -> tuple[Any, ...]:
    """What a node saved, as tensors that lead back into the graph."""
    assert isinstance(node.saved, tuple)
    values = list(node.saved)
    for position, source in enumerate(node.sources):
        if isinstance(source, Version):
            values[position] = make_tensor(values[position], node, source)
        elif source is not None:
            values[position] = source
    return tuple(values)


def freed(node: Node) -> RuntimeError:
    """The error of a second walk over nodes that a first one used up."""
    return RuntimeError(
        f"backward: the graph was freed (at operation {node.operation.name}) by an earlier "
        "backward; pass retain_graph=True to that call, or compute the result again"
    )


def check_unchanged(node: Node) -> None:
    """RuntimeError if something a node saved was changed in place since."""
    for item in (*node.sources, *(node.inputs or ())):
        version = item._version if isinstance(item, Tensor) else item
        if isinstance(version, Version) and version.time > node.order:
            raise RuntimeError(
                "backward: a tensor that operation "
                f"{node.operation.name} needs for its gradient was changed in place after the "
                "forward pass; change a copy (x = x + ...), or change it after backward"
            )

"""What users ask of the tape: `Tensor.backward` and `tn.grad`."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd.grad_mode import enable_grad
from tinynn.autograd.node import Leaf, Node
from tinynn.autograd.tape import walk
from tinynn.autograd.tensor import Tensor, make_tensor
from tinynn.backend import recording
from tinynn.backend.devices import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Sequence


def accumulate(leaf: Leaf, gradient: Any, record: bool) -> None:
    """Adds a finished gradient, whose memory is the leaf's own, to the leaf's `.grad`."""
    present, slot = leaf.grad, leaf.slot_for(gradient)
    if record:
        with enable_grad():
            leaf.grad = gradient.clone() if present is None else present + gradient
    elif present is not None:
        present.data = recording.timed("add gradient", operator.iadd)(present.data, gradient)
        present.bump_version()
    elif slot is None:
        # A 0-d gradient may have become a scalar of NumPy on its way.
        array = gradient if type(gradient) in BACKENDS else np.asarray(gradient)
        leaf.grad = make_tensor(array, None, None)
    else:
        if gradient is not slot:
            recording.timed("copy gradient", operator.setitem)(slot, ..., gradient)
        leaf.grad = make_tensor(slot, None, None)


def backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Adds the gradient of this tensor to `.grad` of every leaf it was computed from.

    Arguments:
        gradient: the gradient of something with respect to this tensor, of its shape; may be left
            out for a tensor of one element, where it is 1.
        retain_graph: keep what the graph saved, for another backward; default `create_graph`.
        create_graph: record the gradients themselves, for gradients of gradients.

    Raises RuntimeError if nothing was recorded, the graph was freed, or a saved tensor was changed.

    >>> import tinynn as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    root = self.node
    if root is None:
        raise RuntimeError(
            "backward: the tensor does not require grad: nothing it was computed from has "
            "requires_grad=True, or it was computed under no_grad"
        )
    keep = create_graph if retain_graph is None else retain_graph
    start = start_gradient(self, gradient, create_graph, "backward")
    found = walk({root: start}, create_graph, keep)
    for leaf, value in found.items():
        accumulate(leaf, value, create_graph)  # type: ignore[arg-type]


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of outputs with respect to inputs, leaving every `.grad` as it is.

    Arguments are those of `torch.autograd.grad`. With `create_graph` the gradients are recorded,
    and can be differentiated again.

    Raises TypeError for what is not a tensor, RuntimeError if an output or input does not require
    grad, or, without `allow_unused`, if the outputs do not depend on an input.

    >>> import tinynn as tn
    >>> x = tn.tensor(3.0, requires_grad=True)
    >>> (slope,) = tn.grad(x**3, x, create_graph=True)
    >>> (curvature,) = tn.grad(slope, x)
    >>> slope.item(), curvature.item()
    (27.0, 18.0)
    """
    outputs, inputs = _recorded("output", outputs), _recorded("input", inputs)
    if grad_outputs is None:
        grad_outputs = (None,) * len(outputs)
    elif isinstance(grad_outputs, Tensor):
        grad_outputs = (grad_outputs,)
    if len(grad_outputs) != len(outputs):
        raise RuntimeError(
            f"grad: there are {len(outputs)} outputs, but {len(grad_outputs)} grad_outputs; give "
            "one for each"
        )
    roots: dict[Any, Any] = {}
    for output, given in zip(outputs, grad_outputs, strict=True):
        start = start_gradient(output, given, create_graph, "grad")
        roots[output.node] = roots[output.node] + start if output.node in roots else start
    keep = create_graph if retain_graph is None else retain_graph
    targets: set[Any] = {item.node for item in inputs}
    recorder = recording.current()
    if recorder is not None:
        recorder.watched |= targets
    found = walk(roots, create_graph, keep, targets)
    results = []
    for index, item in enumerate(inputs):
        value = found.get(item.node)  # type: ignore[arg-type]
        if value is None and not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on input {index} (shape {item.shape}); pass "
                "allow_unused=True to get None for it"
            )
        results.append(value if value is None or create_graph else Tensor(value))
    return tuple(results)


def _recorded(argument: str, given: Any) -> tuple[Tensor, ...]:
    """One tensor or several, as a tuple; raises for what has no gradient."""
    given = (given,) if isinstance(given, Tensor) or not hasattr(given, "__iter__") else given
    tensors = tuple(given)
    for index, item in enumerate(tensors):
        if not isinstance(item, Tensor):
            raise TypeError(f"grad: {argument}s must be tensors, got {type(item).__name__}")
        if item.node is None:
            raise RuntimeError(f"grad: {argument} {index} does not require grad")
    return tensors


def start_gradient(output: Tensor, gradient: Any, record: bool, name: str) -> Any:
    """The gradient a walk begins with: ones for a single element, else what the user gave."""
    array = output.data
    if gradient is None:
        if array.size != 1:
            raise RuntimeError(
                f"{name}: a gradient is created only for a tensor of one element, this one has "
                f"shape {output.shape}; reduce it (.sum(), .mean()) or pass a gradient"
            )
        ones = BACKENDS[type(array)].xp.ones_like(array)
        return Tensor(ones) if record else ones
    if not isinstance(gradient, Tensor):
        raise TypeError(
            f"{name}: the gradient must be a tensor, got {type(gradient).__name__}; make one with "
            "tn.tensor(...)"
        )
    if gradient.data.shape != array.shape:
        raise RuntimeError(
            f"{name}: the gradient has shape {gradient.shape}, the tensor {output.shape}; "
            "they must be the same"
        )
    if gradient.data.dtype != array.dtype:
        gradient = gradient.to(array.dtype)
    if record:
        return gradient
    given = recording.seen(gradient.data)
    # The gradient of a leaf is memory of its own, not the user's.
    return given if isinstance(output.node, Node) else given.copy()

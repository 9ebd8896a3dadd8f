"""The one door: every operation on tensors, forward or backward, goes through `apply`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd.grad_mode import grad_mode
from tinynn.autograd.node import Node
from tinynn.autograd.operation import OPERATIONS, Operation, Operations, bfloat16_twin
from tinynn.autograd.tensor import Tensor, make_tensor, new, shared_version
from tinynn.autograd.version import Version, tick
from tinynn.backend import recording
from tinynn.backend.devices import BACKENDS, device_of
from tinynn.backend.dtypes import (
    DEFAULT_FLOAT,
    float32,
    float64,
    is_bfloat16,
    is_floating,
    result_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NO_ATTRIBUTES: dict[str, Any] = {}


def apply(
    operation: Operation, inputs: Sequence[Any], attributes: dict[str, Any] = NO_ATTRIBUTES
) -> Tensor:
    """Runs an operation on tensors, and records it if a gradient may be asked for.

    Arguments:
        operation: its declaration.
        inputs: a tensor, Python scalar, or None for each of its array parameters.
        attributes: its keyword arguments, in canonical form.

    Raises TypeError for what is neither, RuntimeError for tensors on two devices.
    """
    if recording.active is not None:
        listener = recording.current_listener()
        if listener is not None:
            return listener.run(operation, inputs, attributes, run)  # type: ignore[no-any-return]
    return run(operation, inputs, attributes)


def apply_all(
    operation: Operation, inputs: Sequence[Any], attributes: dict[str, Any]
) -> tuple[Tensor, ...]:
    """What `apply` does, for an operation of several results; it must have no gradient."""
    others: list[Any] = []

    def run_keeping(
        operation: Operation,
        inputs: Sequence[Any],
        attributes: dict[str, Any],
        forward: Callable[..., Any] = Operation.run,
    ) -> Tensor:
        def first_of(*arguments: Any) -> Any:
            first, *others[:] = forward(*arguments)
            return first

        return run(operation, inputs, attributes, first_of)

    listener = None if recording.active is None else recording.current_listener()
    call = run_keeping if listener is None else partial(listener.run, run=run_keeping)
    first = call(operation, inputs, attributes)
    return (first, *(make_tensor(array, None, None) for array in others))


def run(
    operation: Operation,
    inputs: Sequence[Any],
    attributes: dict[str, Any],
    forward: Callable[..., Any] | None = None,
) -> Tensor:
    """What `apply` does, unseen by a listener; `forward` is called in place of Operation.run."""
    if operation.promotes is not None:
        inputs = promote_inputs(operation, inputs)
    arrays = [item.data if isinstance(item, Tensor) else item for item in inputs]
    backend = find_backend(operation, inputs)
    try:
        if forward is None:
            result = operation.run(backend, arrays, attributes)
        else:
            result = forward(operation, backend, arrays, attributes)
    except (ValueError, TypeError, OverflowError) as error:
        raise explain(operation, inputs, error) from None
    residuals: tuple[Any, ...] = ()
    if type(result) is tuple:
        result, *residuals = result  # type: ignore[assignment]
    if type(result) not in BACKENDS:
        result = backend.xp.asarray(result)  # NumPy makes a scalar of a 0-d result
    version = shared_version(inputs[0]) if operation.views and result.base is not None else None
    if grad_mode.enabled and operation.differentiable:
        for item in inputs:
            if isinstance(item, Tensor) and item.node is not None:
                return record(operation, inputs, attributes, result, residuals, version)
    return make_tensor(result, None, version)


def record(
    operation: Operation,
    inputs: Sequence[Any],
    attributes: dict[str, Any],
    result: Any,
    residuals: Sequence[Any],
    version: Version | None,
) -> Tensor:
    """The result as a tensor with a node behind it."""
    if operation.saves_result and version is None:
        version = Version()
    saved: list[Any] = []
    sources: list[Tensor | Version | None] = []
    for position, part in operation.saves:
        if position == -1:
            value, source = result, version
        else:
            source = inputs[position] if isinstance(inputs[position], Tensor) else None
            value = inputs[position] if source is None else source.data
        saved.append(value if part == "array" else getattr(value, part))
        sources.append(source if part == "array" else None)
    vjps = operation.vjps
    node: Node = new(Node)
    node.order = tick()
    node.operation = bfloat16_twin(operation) if is_bfloat16(result.dtype) else operation
    node.parents = tuple(
        [
            item.node
            if isinstance(item, Tensor) and (not vjps or vjps[position] is not None)
            else None
            for position, item in enumerate(inputs)
        ]
    )
    node.saved = (*saved, *residuals)
    node.sources = tuple(sources)
    node.inputs = tuple(inputs) if operation.unfused is not None else None
    node.attributes = attributes
    node.shapes = argument_shapes(inputs, result.shape) if operation.broadcasts else None
    node.hooks = None
    return make_tensor(result, node, version)


def binary(operation: Operation, operator: Callable[[Any, Any], Any]) -> Callable[..., Tensor]:
    """The function of an arithmetic operation on two arguments, `operator` being Python's own.

    Two float tensors of one dtype and device, by far the most common case, are served here without
    the general machinery, which costs several times the arithmetic of a small array. Everything
    else goes through `apply`.
    """

    saves = bool(operation.saves)

    def function(input: Any, other: Any) -> Tensor:
        if (
            not (isinstance(other, Tensor) and isinstance(input, Tensor))
            or recording.active is not None
        ):
            return apply(operation, (input, other))
        left_array, right_array = input.data, other.data
        dtype = left_array.dtype
        if (
            dtype is not right_array.dtype
            or (dtype is not float32 and dtype is not float64)
            or type(left_array) is not type(right_array)
        ):
            return apply(operation, (input, other))
        try:
            result = operator(left_array, right_array)
        except ValueError as error:
            raise explain(operation, (input, other), error) from None
        if type(result) is not type(left_array):
            result = BACKENDS[type(left_array)].xp.asarray(result)
        tensor: Tensor = new(Tensor)
        tensor.data = result
        tensor._version = None
        left, right = input.node, other.node
        if (left is None and right is None) or not grad_mode.enabled:
            tensor.node = None
            return tensor
        tensor.node = node = new(Node)
        node.order = tick()
        node.operation = operation
        node.parents = (left, right)
        if saves:
            node.saved = (left_array, right_array)
            node.sources = (input, other)
        else:
            node.saved = node.sources = ()
        node.attributes = NO_ATTRIBUTES
        node.hooks = node.inputs = None
        shape, other_shape = left_array.shape, right_array.shape
        node.shapes = None if shape == other_shape else (shape, other_shape)
        return tensor

    return function


def seen(inputs: Sequence[Any]) -> Sequence[Any]:
    """The inputs as a recorder, if one is at work, is to see them."""
    recorder = recording.current()
    return inputs if recorder is None else recorder.adopt(inputs)


def promote_inputs(operation: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
    """The inputs cast to their common dtype, the cast being an operation of its own."""
    inputs = [item.item() if isinstance(item, np.generic) else item for item in inputs]
    tensors = [item for item in inputs if isinstance(item, Tensor)]
    if not tensors:
        raise TypeError(
            f"{operation.name}: expected a tensor, got "
            f"{', '.join(type(item).__name__ for item in inputs)}; make one with tn.tensor(...)"
        )
    scalars = []
    for item in inputs:
        if not isinstance(item, Tensor) and item is not None:
            if type(item) not in (bool, int, float):
                raise TypeError(
                    f"{operation.name}: expected a tensor or a number, got {type(item).__name__}; "
                    "make a tensor of it with tn.tensor(...)"
                )
            scalars.append(item)
    first = tensors[0].data.dtype
    if len(tensors) == 1 and not scalars:
        dtype = first
    else:
        dtype = result_type([item.data for item in tensors], scalars)
    if operation.promotes == "float" and not is_floating(dtype):
        dtype = DEFAULT_FLOAT
    if scalars and is_bfloat16(dtype):
        # NumPy takes a Python float beside it for a float32; a 0-d array stays what it is.
        xp = BACKENDS[type(tensors[0].data)].xp
        inputs = [
            Tensor(xp.asarray(item, dtype=dtype)) if type(item) in (bool, int, float) else item
            for item in inputs
        ]
    if not [item for item in tensors if item.data.dtype != dtype]:
        return inputs
    cast = OPERATIONS["cast"]
    return tuple(
        apply(cast, (item,), {"dtype": dtype})
        if isinstance(item, Tensor) and item.data.dtype != dtype
        else item
        for item in inputs
    )


def find_backend(operation: Operation, inputs: Sequence[Any]) -> Any:
    """The one backend of all tensors; TypeError without any, RuntimeError for several devices."""
    first = None
    for item in inputs:
        if isinstance(item, Tensor):
            if first is None:
                first = item.data
            elif type(item.data) is not type(first) or (
                (device := getattr(first, "device", None)) != getattr(item.data, "device", None)
                and device is not None
            ):
                raise RuntimeError(
                    f"{operation.name}: tensors are on two devices, {device_of(first)} and "
                    f"{device_of(item.data)}; move one with .to(device)"
                )
    if first is None:
        raise TypeError(
            f"{operation.name}: expected a tensor, got "
            f"{', '.join(type(item).__name__ for item in inputs)}; make one with tn.tensor(...)"
        )
    return BACKENDS[type(first)]


def argument_shapes(inputs: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """The shapes of the inputs where broadcasting changed one of them, else None."""
    shapes = tuple([item.data.shape if isinstance(item, Tensor) else None for item in inputs])
    for item in shapes:
        if item is not None and item != shape:
            return shapes
    return None


def explain(operation: Operation, inputs: Sequence[Any], error: Exception) -> Exception:
    """An array module's complaint, with the operation's name and the shapes and dtypes.

    Shapes that do not broadcast and numbers too large for the dtype are a RuntimeError, as in
    PyTorch.
    """
    arguments = ", ".join(
        f"{item.shape} {item.dtype}" if isinstance(item, Tensor) else repr(item) for item in inputs
    )
    kind: type[Exception] = ValueError if isinstance(error, ValueError) else TypeError
    if "broadcast" in str(error) or isinstance(error, OverflowError):
        kind = RuntimeError
    return kind(f"{operation.name}: {error} (arguments: {arguments})")


def _record_operation(operation: Operation) -> Callable[..., Tensor]:
    def call(*inputs: Any, **attributes: Any) -> Tensor:
        return apply(operation, inputs, attributes)

    return call


RECORDING = Operations(_record_operation)

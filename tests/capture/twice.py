"""A training run twice, as it is written and compiled, and a comparison of all that came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinynn as tn
from tinynn.backend.random import get_rng_state

SEED = 3


@dataclass
class Training:
    """A step, and the objects whose state it changes."""

    step: Callable[..., Any]
    models: list[tn.nn.Module] = field(default_factory=list)
    optimizers: list[Any] = field(default_factory=list)
    schedulers: list[Any] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """Everything that training has changed, as bytes and numbers."""
        found: dict[str, Any] = {"random": get_rng_state()}
        for number, model in enumerate(self.models):
            for name, tensor in model.state_dict().items():
                found[f"{number}.{name}"] = bits(tensor.data)
            for name, parameter in model.named_parameters():
                gradient = parameter.grad
                found[f"{number}.{name}.grad"] = None if gradient is None else bits(gradient.data)
                found[f"{number}.{name}.requires_grad"] = parameter.requires_grad
        for number, optimizer in enumerate(self.optimizers):
            found[f"optimizer {number}"] = in_bits(optimizer.state_dict())
        for number, scheduler in enumerate(self.schedulers):
            found[f"scheduler {number}"] = scheduler.state_dict()
        return found


def bits(array: Any) -> tuple[Any, ...]:
    """An array so that equality is that of every bit."""
    return str(array.dtype), array.shape, np.ascontiguousarray(array).tobytes()


def in_bits(value: Any) -> Any:
    """A value with its tensors and arrays so."""
    if isinstance(value, tn.Tensor):
        return bits(value.data)
    if isinstance(value, np.ndarray):
        return bits(value)
    if isinstance(value, list | tuple):
        return [in_bits(item) for item in value]
    if isinstance(value, dict):
        return {key: in_bits(item) for key, item in value.items()}
    return value


def run(
    make: Callable[[], Training],
    batches: Iterable[tuple[Any, ...]],
    between: Callable[[int, Training], Any] | None = None,
    wrap: Callable[..., Any] | None = None,
) -> tuple[list[Any], Training, Any]:
    """Calls a step with each batch; `between` is called before each of them.

    Returns the results, the training, and the function that was called.
    """
    tn.manual_seed(SEED)
    training = make()
    step = training.step if wrap is None else wrap(training.step)
    results = []
    for number, batch in enumerate(batches):
        if between is not None:
            between(number, training)
        results.append(in_bits(step(*map(in_tensors, batch))))
    return results, training, step


def in_tensors(value: Any) -> Any:
    """A NumPy array as a tensor of memory of its own."""
    return tn.tensor(value) if isinstance(value, np.ndarray) else value


def agree(
    make: Callable[[], Training],
    batches: Iterable[tuple[Any, ...]],
    between: Callable[[int, Training], Any] | None = None,
    plans: int | None = 1,
    **options: Any,
) -> Any:
    """Asserts that the compiled step gives the same bits as the step itself, and that the number
    of its plans is as expected. Returns the compiled function."""
    batches = list(batches)
    expected, eager, _ = run(make, batches, between)
    options = {"fuse": False, **options}
    found, compiled, step = run(make, batches, between, lambda f: tn.compile(f, **options))
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one == other, f"the results of call {number} differ"
    ours, its = compiled.state(), eager.state()
    assert [name for name in its if its[name] != ours[name]] == []
    assert plans is None or len(step.plans) == plans
    return step


def batches_of(count: int, *shapes: Any, classes: int = 0, seed: int = 0) -> list[tuple[Any, ...]]:
    """Batches of normal numbers in float32; with `classes`, labels for each row beside them."""
    random = np.random.default_rng(seed)
    batches = []
    for _ in range(count):
        arrays = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
        if classes:
            arrays.append(random.integers(0, classes, shapes[0][0]))
        batches.append(tuple(arrays))
    return batches

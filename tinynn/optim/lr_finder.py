"""The learning-rate range test: which learning rates a network can be trained with.

Smith, "Cyclical Learning Rates for Training Neural Networks" (2017), section 3.3, and "A
disciplined approach to neural network hyper-parameters: Part 1" (2018): train for a few steps while
the rate grows from far too small to far too large, and look at the loss over it. It stays flat,
falls, reaches a minimum, and explodes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd import Tensor, enable_grad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tinynn.nn.module import Module
    from tinynn.optim.optimizer import Optimizer

# A loss that has risen to so many times the lowest one has diverged.
DIVERGED = 4.0
# The share of the curve that one smoothed point is a mean of.
SMOOTHING = 0.1


class LRRangeTest:
    """What a range test found.

    Attributes:
        lrs: the rates tried, rising.
        losses: the loss of the batch at each of them, before the step with it.
        smoothed: the losses, each a mean over its neighbours.
        suggestion: where the smoothed loss falls most steeply over log(lr), before its minimum;
            None if it never falls.
    """

    __slots__ = ("losses", "lrs", "smoothed", "suggestion")

    def __init__(self, lrs: list[float], losses: list[float]) -> None:
        self.lrs = lrs
        self.losses = losses
        self.smoothed = smooth(losses)
        self.suggestion = steepest(lrs, self.smoothed)

    def __repr__(self) -> str:
        found = "none" if self.suggestion is None else f"{self.suggestion:.2g}"
        span = f"{self.lrs[0]:.2g} to {self.lrs[-1]:.2g}" if self.lrs else "nothing"
        return f"LRRangeTest(tried {span}, suggestion: {found})"


def lr_range_test(
    model: Module,
    loss_fn: Callable[[Any, Any], Tensor],
    batches: Iterable[tuple[Any, Any]],
    optimizer: Optimizer,
    start: float = 1e-5,
    end: float = 10.0,
    steps: int = 100,
) -> LRRangeTest:
    """Trains for some steps with a learning rate that grows evenly on a log scale.

    It ends early when the loss is not finite, or four times the lowest one before. Parameters,
    buffers, dropout's place in its random numbers, train or eval mode and the optimizer's state are
    in the end what they were before; gradients are None.

    Arguments:
        model, loss_fn, optimizer: as for training; loss_fn(model(inputs), targets).
        batches: (inputs, targets) on the model's device; begun anew when they run out.
        start, end: the first and the last rate, for all parameter groups.
        steps: how many rates.

    Raises ValueError for a range or a number of steps that makes no sense, and for no batches.

    >>> import tinynn as tn
    >>> x = tn.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> model = tn.nn.Linear(1, 1)
    >>> optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
    >>> result = tn.optim.lr_range_test(model, tn.nn.MSELoss(), [(x, 2 * x)], optimizer)
    >>> 1e-3 < result.suggestion < 1
    True
    """
    if not 0 < start < end < math.inf:
        raise ValueError(f"lr_range_test: expected 0 < start < end, got {start} and {end}")
    if steps < 2:
        raise ValueError(f"lr_range_test: steps must be at least 2, got {steps}")
    restore = snapshot(model, optimizer)
    lrs: list[float] = []
    losses: list[float] = []
    try:
        model.train()
        supply = repeat(batches)
        for index in range(steps):
            batch = next(supply, None)
            if batch is None:
                break
            rate = start * (end / start) ** (index / (steps - 1))
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            with enable_grad():
                loss = loss_fn(model(batch[0]), batch[1])
                value = float(loss.item())
                if not math.isfinite(value) or (losses and value > DIVERGED * min(losses)):
                    break
                lrs.append(rate)
                losses.append(value)
                loss.backward()
            optimizer.step()
    finally:
        restore()
    if not losses:
        raise ValueError(
            "lr_range_test: there are no batches, or the first loss is not finite already"
        )
    return LRRangeTest(lrs, losses)


def smooth(losses: list[float]) -> list[float]:
    """Each loss as the mean over its neighbours, a tenth of the curve in all."""
    reach = max(1, round(len(losses) * SMOOTHING / 2))
    return [
        float(np.mean(losses[max(0, index - reach) : index + reach + 1]))
        for index in range(len(losses))
    ]


def steepest(lrs: list[float], losses: list[float]) -> float | None:
    """The rate at which the losses fall most steeply over log(lr), up to their minimum."""
    lowest = int(np.argmin(losses))
    if lowest < 1:
        return None
    slopes = np.gradient(losses[: lowest + 1], np.log(lrs[: lowest + 1]))
    index = int(np.argmin(slopes))
    return lrs[index] if slopes[index] < 0 else None


def repeat(batches: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """The batches over and over; ends where a pass over them gives nothing."""
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            return


def copy(value: Any) -> Any:
    """A tensor's values in memory of their own; a number as it is."""
    return Tensor(value.data.copy()) if isinstance(value, Tensor) else value


def snapshot(model: Module, optimizer: Optimizer) -> Callable[[], None]:
    """A function that brings model and optimizer back to where they are now."""
    values = [(t, t.data.copy()) for t in (*model.parameters(), *model.buffers())]
    extras = [(module, module.get_extra_state()) for module in model.modules()]
    modes = [(module, module.training) for module in model.modules()]
    saved = optimizer.state_dict()
    saved["state"] = {
        number: {name: copy(value) for name, value in state.items()}
        for number, state in saved["state"].items()
    }

    def restore() -> None:
        for tensor, array in values:
            tensor.data[...] = array
            tensor.bump_version()
        for module, extra in extras:
            if extra is not None:
                module.set_extra_state(extra)
        for module, training in modes:
            module.training = training
        optimizer.load_state_dict(saved)
        optimizer.zero_grad()

    return restore

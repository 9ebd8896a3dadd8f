"""The steps that are taken apart, and the parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinynn.autograd import Tensor
from tinynn.backend.random import manual_seed
from tinynn.capture import Compiled, Plan, compile
from tinynn.data import normalize
from tinynn.models import CNN, MLP
from tinynn.nn import CrossEntropyLoss, Module
from tinynn.optim import SGD
from tinynn.studies.shared.training import TIMED_RATE
from tinynn.studies.where_time_goes.memory import with_own_memory

if TYPE_CHECKING:
    from tinynn.capture.call import Call

__all__ = [
    "ELEMENTWISE",
    "ENGINES",
    "MEMORY",
    "NETWORKS",
    "OPTIMIZER",
    "PARTS",
    "PRODUCTS",
    "PYTHON",
    "Settings",
    "Step",
    "part_of",
]

NETWORKS: dict[str, Callable[[], Module]] = {"MLP": MLP, "CNN": CNN}
ENGINES = ("eager", "compiled")
# What the calls of a plan belong to, and what a step takes besides them.
PRODUCTS, ELEMENTWISE, OPTIMIZER = "products", "element by element", "optimizer"
MEMORY, PYTHON = "fresh memory", "Python and tape"
PARTS = (PRODUCTS, ELEMENTWISE, OPTIMIZER, MEMORY, PYTHON)
# The calls that multiply matrices, or windows of images with filters, by operation.
_MULTIPLYING = {
    "conv2d": ("convolve",),
    "conv2d backward": ("scatter", "correlate"),
}


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    Arguments:
        mlp_batches, cnn_batches: images in a step, rising.
        shown: the batch whose calls are listed one by one; one of both.
        sets: how often each step is taken apart, each time in a new process.
        seconds: about how long each candidate of a set is measured.
        turns: how many turns the candidates take at least.
    """

    mlp_batches: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024)
    cnn_batches: tuple[int, ...] = (16, 64, 256)
    shown: int = 64
    sets: int = 5
    seconds: float = 0.3
    turns: int = 9

    def batches(self, network: str) -> tuple[int, ...]:
        return self.mlp_batches if network == "MLP" else self.cnn_batches


class Step:
    """A training step of a network on one batch.

    It trains at a rate so small that the network stays as it is.

    Arguments:
        images, labels: the batch, as it lies in a data set.

    Attributes:
        eager: the step as it is, without arguments.
        compiled: and compiled; made by `compile`.
        plan: what the compiled one repeats.
    """

    compiled: Callable[[], Any]
    plan: Plan

    def __init__(self, network: str, images: Any, labels: Any, seed: int) -> None:
        manual_seed(seed)
        model = NETWORKS[network]()
        optimizer, criterion = SGD(model.parameters(), TIMED_RATE), CrossEntropyLoss()

        def step(inputs: Tensor, target: Tensor) -> Tensor:
            loss: Tensor = criterion(model(inputs), target)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss.detach()

        self._step = step
        self._batch = Tensor(normalize(images).reshape(len(images), -1)), Tensor(labels)
        self.eager: Callable[[], Any] = lambda: step(*self._batch)

    def compile(self) -> None:
        """Makes the compiled form, of the same network."""
        compiled: Compiled = compile(self._step)
        while compiled.plan is None or not compiled.plan.replays:
            compiled(*self._batch)
        self.plan = compiled.plan
        self.compiled = lambda: compiled(*self._batch)

    def products(self) -> Callable[[], None]:
        """The products of the step alone, on arrays that stay where they are."""
        pairs = with_own_memory(self.plan)
        actions = [action for call, action in pairs if part_of(call) == PRODUCTS]

        def multiply() -> None:
            for action in actions:
                action()

        return multiply


def part_of(call: Call) -> str:
    """Which of PARTS a call of a plan belongs to."""
    if call.operation.endswith(".step"):
        return OPTIMIZER
    if call.name in ("dot", "matmul") or call.name in _MULTIPLYING.get(call.operation, ()):
        return PRODUCTS
    return ELEMENTWISE

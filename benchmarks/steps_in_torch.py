"""The training steps of `steps_in_tinynn` in PyTorch: eager, or what torch.compile makes of them.

What is compiled is the forward pass with the loss, which compiles the backward pass, too. Compiling
the optimizer's step as well was slower for these networks, and a whole step, by compiled autograd,
slower still.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks import gpt_in_torch
from benchmarks.mnist_in_torch import make_model
from benchmarks.workloads import (
    ADAMW_RATE,
    GPT_SIZES,
    SGD_RATE,
    Arrays,
    Step,
    fed,
)


class Training(NamedTuple):
    """A network, what updates it, and loss_of(model, inputs, labels)."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss_of: Callable[[nn.Module, Tensor, Tensor], Tensor]


def classifier(model: nn.Module) -> Training:
    """Training of a classifier by SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=SGD_RATE)
    return Training(model, optimizer, lambda model, x, y: cross_entropy(model(x), y))


def mlp(sizes: Sequence[int]) -> Training:
    return classifier(make_model(tuple(sizes)))


def cnn() -> Training:
    """The default of tinynn.models.CNN."""
    return classifier(
        nn.Sequential(
            nn.Conv2d(1, 8, 5, padding="same"),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 5, padding="same"),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(784, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )
    )


def gpt() -> Training:
    model = gpt_in_torch.GPT(**GPT_SIZES)
    return Training(
        model, torch.optim.AdamW(model.parameters(), lr=ADAMW_RATE), gpt_in_torch.loss_of
    )


def step_of(training: Training) -> Callable[[Tensor, Tensor], Tensor]:
    """Forward, backward and update on a batch: step(inputs, labels) gives the loss."""
    model, optimizer, loss_of = training

    def step(inputs: Tensor, labels: Tensor) -> Tensor:
        loss = loss_of(model, inputs, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


def candidate(training: Training, batches: list[Arrays], threads: int, compiled: bool) -> Step:
    """One step a call."""
    torch.set_num_threads(threads)
    if compiled:
        training = training._replace(loss_of=torch.compile(training.loss_of))
    tensors = [(torch.from_numpy(inputs), torch.from_numpy(labels)) for inputs, labels in batches]
    return fed(step_of(training), tensors)

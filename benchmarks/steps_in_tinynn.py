"""Training steps in tinynn, compiled and eager, as a user writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tinynn as tn
import tinynn.nn.functional as F
from benchmarks import gpt_in_tinynn
from benchmarks.workloads import (
    ADAMW_RATE,
    GPT_SIZES,
    SGD_RATE,
    Arrays,
    Step,
    fed,
)
from tinynn.training.text_recipe import TextRecipe, next_token_loss


class Training(NamedTuple):
    """A network, what updates it, and loss_of(model, inputs, labels)."""

    model: tn.nn.Module
    optimizer: tn.optim.Optimizer
    loss_of: Callable[[tn.nn.Module, tn.Tensor, tn.Tensor], tn.Tensor]


def classifier(model: tn.nn.Module) -> Training:
    """Training of a classifier by SGD."""
    optimizer = tn.optim.SGD(model.parameters(), lr=SGD_RATE)
    return Training(model, optimizer, lambda model, x, y: F.cross_entropy(model(x), y))


def mlp(sizes: Sequence[int]) -> Training:
    return classifier(tn.models.MLP(sizes))


def cnn() -> Training:
    return classifier(tn.models.CNN())


def gpt() -> Training:
    model = gpt_in_tinynn.GPT(**GPT_SIZES)
    return Training(model, tn.optim.AdamW(model.parameters(), lr=ADAMW_RATE), gpt_in_tinynn.loss_of)


def transformer(layers: int, context: int, gradient_checkpointing: bool) -> Training:
    """What `tinynn train gpt` trains."""
    recipe = TextRecipe(layers=layers, context=context)
    model = recipe.make_model(GPT_SIZES["vocabulary"])
    model.gradient_checkpointing = gradient_checkpointing
    return Training(model, recipe.make_optimizer(model), lambda m, x, y: next_token_loss(m(x), y))


def step_of(training: Training) -> Callable[[tn.Tensor, tn.Tensor], tn.Tensor]:
    """Forward, backward and update on a batch: step(inputs, labels) gives the loss."""
    model, optimizer, loss_of = training

    def step(inputs: tn.Tensor, labels: tn.Tensor) -> tn.Tensor:
        loss = loss_of(model, inputs, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


def candidate(training: Training, batches: list[Arrays], threads: int, compiled: bool) -> Step:
    """One step a call."""
    tn.set_num_threads(threads)
    step = step_of(training)
    if compiled:
        step = tn.compile(step)
    return fed(step, [(tn.tensor(inputs), tn.tensor(labels)) for inputs, labels in batches])

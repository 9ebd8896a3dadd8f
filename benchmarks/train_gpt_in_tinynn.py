"""The training of `train_gpt` in tinynn: what `tinynn train gpt` does, by the same Trainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.train_gpt import Work
from tinynn.training import evaluate
from tinynn.training.text_recipe import next_token_loss


def train(work: Work, finish_step: Callable[[], None]) -> float:
    """Trains, calls finish_step after each step, and gives the loss on the validation text."""

    def after_batch(values: Sequence[Any], rate: float) -> None:
        finish_step()

    trainer = work.recipe.make_trainer(work.model, progress=None, after_batch=after_batch)
    trainer.fit(work.batches, 1)
    return evaluate(work.model, work.judges, next_token_loss)["loss"]

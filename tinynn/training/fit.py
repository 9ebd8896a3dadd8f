"""The fit loop: train, validate, write down, stop in time, and go on from where it stopped."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinynn.autograd import Tensor
from tinynn.backend.random import get_rng_state, set_rng_state
from tinynn.capture import CaptureError, Compiled
from tinynn.nn.utils import clip_grad_norm_
from tinynn.ops.conversion import host
from tinynn.optim.lr_scheduler import ReduceLROnPlateau
from tinynn.training.best_epoch import BestEpoch
from tinynn.training.checkpoint import Checkpoint, Checkpoints, load_checkpoint
from tinynn.training.evaluation import device_of_model, evaluate
from tinynn.training.health import OSCILLATION_HINT, TrainingDiverged, TrainingWarning, oscillates
from tinynn.training.metrics import Averages
from tinynn.training.metrics_file import append_row, write_rows
from tinynn.training.progress import choose_progress
from tinynn.training.signals import HeldSignals, TrainingInterrupted

if TYPE_CHECKING:
    from tinynn.training.trainer import Trainer

__all__ = ["Fit", "FitResult"]

# How often the loss is looked at, in seconds: often enough for the eye, and to notice one that is
# not finite. Each look makes the host wait for the device.
LOOK_EVERY = 0.1


class FitResult(NamedTuple):
    """What `Trainer.fit` tells, besides the trained model."""

    history: list[dict[str, Any]]
    """A row per epoch, as in metrics.jsonl."""
    best_epoch: int
    """The epoch, from 1, of the best monitored value."""
    best_value: float | None
    stopped_early: bool


class Fit:
    """One call of `Trainer.fit`: where it is, and how it goes on."""

    def __init__(
        self,
        trainer: Trainer,
        loader: Any,
        epochs: int,
        validation: Iterable[tuple[Tensor, Tensor]] | None,
    ) -> None:
        self.trainer = trainer
        self.model, self.optimizer = trainer.model, trainer.optimizer
        self.loader, self.epochs, self.validation = loader, epochs, validation
        self.batches_per_epoch = len(loader)
        self.device = device_of_model(self.model)
        self.progress = choose_progress(trainer.progress)
        self.is_compiled = trainer.compile
        # A plan for each place of a batch in its step, and for a last batch that is smaller.
        self.compiled = Compiled(self.compute, most_plans=2 * trainer.accumulate + 8)
        self.signals = HeldSignals()
        self.checkpoints: Checkpoints | None = None
        self.saved_step: int | None = None
        scheduler = trainer.scheduler
        self.has_plateau = isinstance(scheduler, ReduceLROnPlateau)
        self.steps_scheduler = (
            scheduler is not None and trainer.schedule_by == "step" and not self.has_plateau
        )

        # Finished epochs, finished batches of the epoch under way, finished steps in all.
        self.epoch = self.batch = self.step = 0
        self.averages = self.new_averages()
        # Of each batch of the epoch under way; NaN for those that another process trained on.
        self.learning_rates: list[float] = []
        self.history: list[dict[str, Any]] = []
        self.best = self.new_best_epoch()
        self.best_parameters: dict[str, Any] = {}
        self.has_warned = False
        # Of the epoch under way: when this process began with it, and how long it took before.
        self.began, self.seconds_before = time.perf_counter(), 0.0

    def new_averages(self) -> Averages:
        return Averages(["loss", *(metric.name for metric in self.trainer.metrics)])

    def new_best_epoch(self) -> BestEpoch:
        parts = ["train"] if self.validation is None else ["train", "validation"]
        higher = {metric.name: metric.higher_is_better for metric in self.trainer.metrics}
        higher["loss"] = False
        names = {f"{part}_{name}": higher[name] for part in parts for name in higher}
        monitor = self.trainer.monitor or f"{parts[-1]}_loss"
        if monitor not in names:
            raise ValueError(f"Trainer: monitor is {monitor!r}, expected one of {', '.join(names)}")
        return BestEpoch(monitor, names[monitor])

    # ---- the loop

    def run(self) -> FitResult:
        self.progress.start(self.epochs, self.batches_per_epoch, self.epoch, self.batch)
        try:
            # A loss that overflows is reported in words, and NumPy's warning would only precede it.
            with np.errstate(over="ignore", invalid="ignore"):
                while not self.is_finished():
                    self.train_epoch()
                    self.finish_epoch()
                    self.stop_if_asked()
        finally:
            self.progress.stop()
        if self.trainer.restore_best:
            self.restore_best()
        stopped_early = self.has_stopped_improving()
        return FitResult(self.history, self.best.epoch, self.best.value, stopped_early)

    def is_finished(self) -> bool:
        return self.epoch >= self.epochs or self.has_stopped_improving()

    def has_stopped_improving(self) -> bool:
        patience = self.trainer.early_stopping
        return patience is not None and self.best.epochs_since(self.epoch) >= patience

    def train_epoch(self) -> None:
        self.model.train()
        self.began = time.perf_counter()
        next_look = self.began + LOOK_EVERY
        samples_in_step = 0
        batches = self.batches_in_epoch()
        for inputs, target in self.remaining_batches():
            inputs, target = inputs.to(device=self.device), target.to(device=self.device)
            self.batch += 1
            is_last = self.batch == batches
            completes_step = is_last or self.batch % self.trainer.accumulate == 0
            values = self.train_on(inputs, target, samples_in_step, completes_step)
            self.averages.add(values, len(target))
            self.learning_rates.append(self.optimizer.param_groups[0]["lr"])
            if self.trainer.after_batch is not None:
                self.trainer.after_batch(values, self.learning_rates[-1])
            samples_in_step += len(target)
            if completes_step:
                samples_in_step = 0
                self.finish_step()
                if not is_last:  # after the last batch, the epoch is finished first
                    self.stop_if_asked()
                    self.save_if_due()
            if time.perf_counter() >= next_look:
                self.look()
                next_look = time.perf_counter() + LOOK_EVERY

    def batches_in_epoch(self) -> int:
        """How many batches the epoch under way has; the last may have fewer than the others."""
        if hasattr(self.loader, "epoch_length"):
            return int(self.loader.epoch_length(self.epoch))
        return self.batches_per_epoch

    def remaining_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of the epoch under way that have not been trained on."""
        if hasattr(self.loader, "epoch"):
            return iter(self.loader.epoch(self.epoch, start=self.batch))
        return islice(iter(self.loader), self.batch, None)

    def train_on(
        self, inputs: Tensor, target: Tensor, samples_before: int, completes_step: bool
    ) -> list[Any]:
        """Computes a batch, from a plan where that is possible; gives its loss and metrics."""
        if self.is_compiled:
            try:
                values: list[Any] = self.compiled(inputs, target, samples_before, completes_step)
                return values
            except CaptureError as error:  # nothing has been changed by then
                self.is_compiled = False
                warnings.warn(TrainingWarning(f"the step is not compiled: {error}"), stacklevel=4)
        return self.compute(inputs, target, samples_before, completes_step)

    def compute(
        self, inputs: Tensor, target: Tensor, samples_before: int, completes_step: bool
    ) -> list[Any]:
        """Adds a batch's gradient to that of the step, and takes the step if it is complete."""
        output = self.model(inputs)
        loss = self.trainer.loss(output, target)
        values = [loss.data, *(metric(output, target) for metric in self.trainer.metrics)]
        self.backward(loss, len(target), samples_before)
        if completes_step:
            if self.trainer.clip_norm is not None:
                clip_grad_norm_(self.model.parameters(), self.trainer.clip_norm)
            self.optimizer.step()
            self.optimizer.zero_grad()
        return values

    def backward(self, loss: Tensor, samples: int, samples_before: int) -> None:
        """Adds a batch's gradient to that of the step.

        It becomes the gradient of the mean over all samples, however many each batch has.
        """
        if self.trainer.accumulate == 1:
            loss.backward()
            return
        together = samples_before + samples
        if samples_before:
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(samples_before / together)
        (loss * (samples / together)).backward()

    def finish_step(self) -> None:
        self.step += 1
        if self.steps_scheduler:
            self.trainer.scheduler.step()

    def finish_epoch(self) -> None:
        self.look()
        row: dict[str, Any] = {"epoch": self.epoch + 1, "step": self.step}
        row |= {f"train_{name}": mean for name, mean in self.means().items()}
        row["samples_per_second"] = round(self.samples_per_second(), 1)
        if self.validation is not None:
            judged = evaluate(self.model, self.validation, self.trainer.loss, self.trainer.metrics)
            row |= {f"validation_{name}": mean for name, mean in judged.items()}
            self.refuse_not_finite(row)
        self.refuse_not_finite(self.parameters())
        row |= {
            "learning_rate": float(self.learning_rates[-1]),
            "seconds": round(self.seconds(), 3),
        }

        self.epoch, self.batch = self.epoch + 1, 0
        self.averages, self.learning_rates = self.new_averages(), []
        self.began, self.seconds_before = time.perf_counter(), 0.0
        self.history.append(row)
        if self.best.update(row[self.best.name], self.epoch, self.step):
            self.keep_best()
        self.schedule_epoch(row[self.best.name])
        self.progress.finish_epoch(row)
        self.warn_of_oscillation()
        if self.checkpoints is not None:
            append_row(self.metrics_path, row)
            self.save()

    def schedule_epoch(self, monitored: float) -> None:
        scheduler = self.trainer.scheduler
        if self.has_plateau:
            scheduler.step(monitored)
        elif scheduler is not None and not self.steps_scheduler:
            scheduler.step()

    # ---- looking after it

    def look(self) -> None:
        """Fetches the means of the epoch so far and shows them."""
        means = self.means()
        self.progress.update(self.epoch, self.batch, means, self.samples_per_second())

    def means(self) -> dict[str, float]:
        means = self.averages.read()
        if self.averages.first_not_finite is not None:
            batch, name, value = self.averages.first_not_finite
            raise self.diverged(name, value, batch + 1)
        return means

    def refuse_not_finite(self, values: Mapping[str, Any]) -> None:
        """Raises TrainingDiverged for the first number or array that holds a NaN or an infinity."""
        for name, value in values.items():
            if not np.isfinite(value).all():
                worst = float(np.asarray(value)[~np.isfinite(value)][0])
                raise self.diverged(name, worst, self.batch)

    def diverged(self, name: str, value: float, batch: int) -> TrainingDiverged:
        rate = float(self.learning_rates[batch - 1])
        return TrainingDiverged(name, value, self.epoch + 1, batch, rate)

    def seconds(self) -> float:
        """How long the epoch under way has taken."""
        return self.seconds_before + time.perf_counter() - self.began

    def samples_per_second(self) -> float:
        return self.averages.samples / max(self.seconds(), 1e-9)

    def warn_of_oscillation(self) -> None:
        for part in ("train", "validation"):
            losses = [row[f"{part}_loss"] for row in self.history if f"{part}_loss" in row]
            if not self.has_warned and oscillates(losses):
                self.has_warned = True
                hint = OSCILLATION_HINT.format(part=part)
                warnings.warn(TrainingWarning(hint), stacklevel=4)

    def stop_if_asked(self) -> None:
        if self.signals.received is not None:
            raise TrainingInterrupted(self.signals.received, self.save())

    # ---- the best epoch

    def keep_best(self) -> None:
        if self.trainer.restore_best and self.checkpoints is None:
            self.best_parameters = {name: array.copy() for name, array in self.parameters().items()}

    def restore_best(self) -> None:
        if self.checkpoints is not None:
            best = load_checkpoint(self.checkpoints.path(self.best.step))
            self.best_parameters = best.model
        self.model.load_state_dict(self.best_parameters)

    def parameters(self) -> dict[str, Any]:
        """The model's state as NumPy arrays, which may share its memory."""
        return {name: host(tensor) for name, tensor in self.model.state_dict().items()}

    # ---- checkpoints

    def open_folder(self, folder: Path, resume: bool) -> None:
        """Begins to write to a folder; with `resume`, goes on from its newest checkpoint."""
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self.metrics_path = folder / "metrics.jsonl"
        if resume:
            checkpoint = self.checkpoints.newest()
            if checkpoint is not None:
                self.load_state_dict(checkpoint)
        elif self.checkpoints.steps():
            raise FileExistsError(
                f"Trainer: {folder} holds a run already; go on with it (resume=True), or choose "
                "another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(self.metrics_path, self.history)

    def save_if_due(self) -> None:
        every = self.trainer.checkpoint_every
        if self.checkpoints is not None and every is not None and self.step % every == 0:
            self.save()

    def save(self) -> Path | None:
        """Writes a checkpoint, unless this step has one; None without a folder."""
        if self.checkpoints is None:
            return None
        if self.saved_step != self.step:
            parameters = self.parameters()
            if self.batch:  # at the end of an epoch, it has been looked at already
                self.means()
                self.refuse_not_finite(parameters)
            protect = {self.best.step} if self.best.epoch else set()
            self.checkpoints.save(self.step, parameters, self.state_dict(), protect)
            self.saved_step = self.step
        return self.checkpoints.path(self.step)

    def plan(self) -> dict[str, Any]:
        """What a checkpoint's training must have in common with this one."""
        return {
            "batches per epoch": self.batches_per_epoch,
            "batches per step": self.trainer.accumulate,
            "monitored value": self.best.name,
        }

    def state_dict(self) -> dict[str, Any]:
        """All that a checkpoint holds besides the model."""
        scheduler = self.trainer.scheduler
        return {
            "plan": self.plan(),
            "position": {"epoch": self.epoch, "batch": self.batch, "step": self.step},
            "averages": self.averages.state_dict(),
            "history": self.history,
            "best": self.best.state_dict(),
            "has_warned": self.has_warned,
            "seconds": self.seconds(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if scheduler is None else scheduler.state_dict(),
            "random": get_rng_state(),
        }

    def load_state_dict(self, checkpoint: Checkpoint) -> None:
        state = checkpoint.state
        for name, value in self.plan().items():
            if state["plan"][name] != value:
                raise ValueError(
                    f"Trainer: {checkpoint.path} was made with {state['plan'][name]} {name}, "
                    f"this training has {value}; resume with the same data and options"
                )
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(state["optimizer"])
        if self.trainer.scheduler is not None:
            self.trainer.scheduler.load_state_dict(state["scheduler"])
        set_rng_state(state["random"])
        self.averages.load_state_dict(state["averages"])
        self.best.load_state_dict(state["best"])
        position = state["position"]
        self.epoch, self.batch, self.step = position["epoch"], position["batch"], position["step"]
        self.saved_step = self.step
        self.history, self.has_warned = state["history"], state["has_warned"]
        self.learning_rates, self.seconds_before = [math.nan] * self.batch, state["seconds"]

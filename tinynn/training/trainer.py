"""Trainer: what to train, how, and what to keep of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinynn.autograd import Tensor
from tinynn.io.atomic import StrPath
from tinynn.nn import Module
from tinynn.optim import Optimizer
from tinynn.training.fit import Fit, FitResult
from tinynn.training.metrics import Metric
from tinynn.training.progress import Progress
from tinynn.training.signals import HeldSignals

__all__ = ["Trainer"]


@dataclass
class Trainer:
    """Trains a model.

    Arguments:
        loss: `loss(output, target)`, the mean over the batch.
        scheduler: stepped after each epoch, or with `schedule_by="step"` after each step of the
            optimizer; a ReduceLROnPlateau after each epoch, with the monitored value.
        metrics: what to follow besides the loss, such as tinynn.training.accuracy.
        monitor: the value that tells which epoch is the best, such as "validation_accuracy"; by
            default "validation_loss", or "train_loss" without a validation set.
        early_stopping: stop after this many epochs without a better monitored value.
        restore_best: end with the parameters of the best epoch, not of the last.
        accumulate: how many batches make up one step, which is that of one batch of all their
            samples.
        clip_norm: the greatest 2-norm of all gradients together.
        folder: where metrics.jsonl (a row per epoch) and checkpoints/ go; without it nothing is
            written. There is a checkpoint after each epoch, and after Ctrl-C or SIGTERM; the last
            two and the best epoch's are kept.
        checkpoint_every: a checkpoint after every so many steps, too.
        compile: record the step and replay it (see `tn.compile`); a step that cannot be recorded
            is run as it is, with a TrainingWarning.
        after_batch: called as after_batch(values, learning_rate) with the loss and the metrics of
            each batch, arrays of no dimensions on the device; what is to happen in Python at each
            step belongs here, since the step itself is replayed.
        progress: "auto" is a live bar on a terminal and lines elsewhere; None is silence.

    >>> import tinynn as tn
    >>> x = tn.tensor([[0.0], [1.0], [2.0]])
    >>> model = tn.nn.Linear(1, 1)
    >>> optimizer = tn.optim.SGD(model.parameters(), lr=0.2)
    >>> trainer = Trainer(model, tn.nn.MSELoss(), optimizer, progress=None)
    >>> result = trainer.fit([(x, 2 * x + 1)], epochs=200)
    >>> round(model(tn.tensor([3.0])).item(), 3)
    7.0
    """

    model: Module
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: Optimizer
    scheduler: Any = None
    schedule_by: str = "epoch"
    metrics: Sequence[Metric] = ()
    monitor: str | None = None
    early_stopping: int | None = None
    restore_best: bool = False
    accumulate: int = 1
    clip_norm: float | None = None
    folder: StrPath | None = None
    checkpoint_every: int | None = None
    progress: Progress | str | None = "auto"
    compile: bool = True
    after_batch: Callable[[Sequence[Any], float], Any] | None = None

    def fit(
        self,
        loader: Any,
        epochs: int,
        validation: Iterable[tuple[Tensor, Tensor]] | None = None,
        resume: bool = False,
    ) -> FitResult:
        """Trains for `epochs` epochs and tells how it went.

        Arguments:
            loader: a tinynn.data.DataLoader, or any sized iterable of batches (inputs, targets)
                that is the same at each pass. Batches are moved to the model's device. One whose
                epochs are not all of the same length tells it: `loader.epoch_length(epoch)`.
            epochs: how many in all, those before a resumption included.
            validation: batches to judge the model by after each epoch.
            resume: go on from the newest checkpoint in `folder` as if there had been no break, with
                the same losses and parameters, bit for bit; from the beginning where there is none.

        Raises:
            TrainingDiverged: a loss or a parameter is NaN or infinite.
            TrainingInterrupted: Ctrl-C or SIGTERM came; a KeyboardInterrupt. Only with `folder`.
            FileExistsError: `folder` holds a run already, and `resume` is False.
            DamagedCheckpoint: there are checkpoints, but none can be read.

        Warns (TrainingWarning), once, of a training or validation loss that oscillates; the rule is
        that of tinynn.training.oscillates.
        """
        self._check(loader, epochs)
        fitting = Fit(self, loader, epochs, validation)
        if self.folder is None:
            return fitting.run()
        fitting.open_folder(Path(self.folder), resume)
        with HeldSignals() as fitting.signals:
            return fitting.run()

    def _check(self, loader: Any, epochs: int) -> None:
        counts = {
            "epochs": epochs,
            "len(loader)": len(loader),
            "accumulate": self.accumulate,
            "early_stopping": self.early_stopping,
            "checkpoint_every": self.checkpoint_every,
        }
        for name, count in counts.items():
            if count is not None and count < 1:
                raise ValueError(f"Trainer: {name} is {count}, expected at least 1")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"Trainer: clip_norm is {self.clip_norm}, expected a positive number")
        if self.schedule_by not in ("epoch", "step"):
            raise ValueError(
                f"Trainer: schedule_by is {self.schedule_by!r}, expected 'epoch' or 'step'"
            )

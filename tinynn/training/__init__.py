"""Training: the fit loop, metrics, checkpoints, progress, pictures."""

from tinynn.training.checkpoint import Checkpoint, Checkpoints, DamagedCheckpoint, load_checkpoint
from tinynn.training.evaluation import evaluate, predict_probabilities
from tinynn.training.fit import FitResult
from tinynn.training.health import TrainingDiverged, TrainingWarning, oscillates
from tinynn.training.metrics import (
    Averages,
    Metric,
    accuracy,
    class_accuracies,
    confusion_matrix,
)
from tinynn.training.metrics_file import read_rows
from tinynn.training.progress import BarProgress, LineProgress, Progress
from tinynn.training.signals import TrainingInterrupted
from tinynn.training.trainer import Trainer

__all__ = [
    "Averages",
    "BarProgress",
    "Checkpoint",
    "Checkpoints",
    "DamagedCheckpoint",
    "FitResult",
    "LineProgress",
    "Metric",
    "Progress",
    "Trainer",
    "TrainingDiverged",
    "TrainingInterrupted",
    "TrainingWarning",
    "accuracy",
    "class_accuracies",
    "confusion_matrix",
    "evaluate",
    "load_checkpoint",
    "oscillates",
    "predict_probabilities",
    "read_rows",
]

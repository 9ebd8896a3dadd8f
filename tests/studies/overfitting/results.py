"""Results of a study that never ran, for the words to choose by."""

from __future__ import annotations

from dataclasses import asdict

from tinynn.studies.overfitting.plan import ALL, MAIN
from tinynn.studies.overfitting.settings import FEWER, MORE, REMEDIES, Settings
from tinynn.studies.shared.study import Results

WIDTHS = (8, 16, 64, 512)
SETTINGS = Settings(
    images=1000, widths=WIDTHS, other_noises=(0.0,), other_widths=WIDTHS, all_widths=WIDTHS,
    epochs=4, batch_size=100,
)  # fmt: skip
# Around a mean, so that standard errors are known.
SPREAD = (-0.003, -0.001, 0.001, 0.003)
HURT = (0.60, 0.72, 0.62, 0.71)
RISING = (0.60, 0.70, 0.75, 0.80)


def training(accuracy, train=0.9, wrong=0.5):
    return {
        "train_accuracy": train,
        "right_learned": train,
        "wrong_learned": wrong,
        "wrong_seen_through": 0.9 - wrong,
        "validation_accuracy": accuracy,
        "validation_loss": 2 - accuracy,
        "test_accuracy": accuracy + 0.01,
        "test_loss": 2 - accuracy,
        "epochs": 4,
        "course": {
            "train_accuracy": [0.3, 0.5, 0.7, train],
            "validation_accuracy": [0.5, 0.8, 0.7, accuracy],
        },
    }


def case(noise, accuracies, trains=(0.6, 0.7, 0.95, 1.0), variances=(0.1, 0.15, 0.35, 0.3)):
    """A case by the mean validation and training accuracies of its widths."""
    biases = [0.4, 0.3, 0.25, 0.15]
    columns = zip(WIDTHS, accuracies, trains, strict=True)
    return {
        "noise": noise,
        "runs": {
            str(width): [training(mean + step, train, train - 0.1) for step in SPREAD]
            for width, mean, train in columns
        },
        "decompositions": {
            str(width): {"error": bias + variance, "bias": bias, "variance": variance}
            for width, bias, variance in zip(WIDTHS, biases, variances, strict=True)
        },
    }


def treated(accuracies):
    """Remedies by the mean accuracy that each leads to; 70% where nothing is said."""
    return {
        name: [training(accuracies.get(name, 0.7) + step) for step in SPREAD] for name in REMEDIES
    }


def made_up(main=HURT, right=RISING, everything=RISING, remedies=None, **cases):
    """Results with every effect that one would expect, and what is given in its place."""
    found = {
        MAIN: case(0.4, main, **cases),
        "noise 0": case(0.0, right),
        ALL: case(0.0, everything),
    }
    accuracies = {"no remedy": 0.62, "augmentation": 0.9, "all five": 0.3, "all five, weaker": 0.91}
    measured = {
        "sizes": {
            "train": 9000, "set": 1000, "more": 2000, "validation": 500, "watched": 100,
            "test": 400, "sets": 4, "inputs": 784,
        },
        "classes": 10,
        "parameters": {str(width): 1000 * width for width in WIDTHS},
        "cases": found,
        "widths": [16, 64, 512],
        "remedies": treated(accuracies | (remedies or {})),
        "seconds": {name: [0.1, 0.1, 0.1] for name in (*REMEDIES, FEWER, MORE)},
        "threads": 1,
    }  # fmt: skip
    return Results(asdict(SETTINGS), measured, {"seed": 0})

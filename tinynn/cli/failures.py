"""From an exception to one clear line and an exit status."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import typer

__all__ = ["FAILED", "Failure", "UsageError", "as_written", "did_you_mean", "explain", "report"]

FAILED, USAGE = 1, 2
# A shell adds this to the number of the signal that ended a command.
SIGNALLED = 128


class UsageError(ValueError):
    """Options that do not fit together, or their values."""


class Failure(NamedTuple):
    """What the user is told, and what the process ends with."""

    line: str
    status: int = FAILED


def report(error: BaseException) -> int:
    """Writes the line for an exception to stderr and returns the exit status.

    An exception that only a mistake of ours can cause is raised again, with its traceback; with
    TINYNN_TRACEBACK set in the environment, every one is.
    """
    failure = None if os.environ.get("TINYNN_TRACEBACK") else explain(error)
    if failure is None:
        raise error
    print(f"error: {failure.line}", file=sys.stderr)
    return failure.status


def as_written(value: Any) -> str:
    """A choice as it is written on the command line."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return str(value)


def explain(error: BaseException) -> Failure | None:
    """The failure that an exception means; None where only a mistake of ours can be the cause."""
    if isinstance(error, typer.BadParameter.__mro__[2]):  # whatever typer says of a command line
        return _of_parsing(error)
    from tinynn.training.health import TrainingDiverged
    from tinynn.training.recipe import RecipeError
    from tinynn.training.signals import TrainingInterrupted

    # The first that fits; a special kind stands before its more general one.
    table: list[tuple[type[BaseException], Any]] = [
        (UsageError, lambda error: Failure(str(error), USAGE)),
        (RecipeError, _of_recipe),
        (TrainingInterrupted, _of_training_interrupted),
        (TrainingDiverged, _of_training_diverged),
        (KeyboardInterrupt, lambda error: Failure("interrupted", SIGNALLED + 2)),
        (MemoryError, _of_memory),
        (OSError, _of_system),
        (ValueError, _of_library),
        (TypeError, _of_library),
        (IndexError, _of_library),
        (RuntimeError, _of_library),
    ]
    for kind, function in table:
        if isinstance(error, kind):
            failure: Failure = function(error)
            return failure._replace(line=" ".join(failure.line.split()))
    return None


def _of_parsing(error: Any) -> Failure:
    command = error.ctx.command_path if getattr(error, "ctx", None) else "tinynn"
    message = error.format_message().rstrip(".")
    return Failure(f"{message} (see {command} --help)", USAGE)


def _of_recipe(error: Any) -> Failure:
    option = f"--{error.name.replace('_', '-')}"
    choices = error.expected.removeprefix("one of ").split(", ")
    hint = did_you_mean(str(error.value), choices)
    value = as_written(error.value)
    return Failure(f"{option} is {value}, expected {error.expected}{hint}", USAGE)


def did_you_mean(value: str, choices: Sequence[str]) -> str:
    """The end of a line about a value that is none of the choices; empty where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(value, choices, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _of_training_interrupted(error: Any) -> Failure:
    from tinynn.training.text_run import TextRunFolder

    run = error.checkpoint.parents[1]
    what = "gpt" if TextRunFolder(run).run.exists() else "mnist"
    line = f"stopped by {error.signal.name}; go on with: tinynn train {what} --resume --out {run}"
    return Failure(line, SIGNALLED + error.signal)


def _of_training_diverged(error: Any) -> Failure:
    return Failure(
        f"{error.name} is {error.value} at epoch {error.epoch} step {error.step}, learning rate "
        f"{error.learning_rate:.6g}: lower --lr, or clip the gradients (--clip-norm 1)"
    )


def _of_system(error: OSError) -> Failure:
    place = f"{os.fspath(error.filename)}: " if error.filename is not None else ""
    if error.errno == errno.ENOSPC:
        return Failure(f"{place}the disk is full; free some space, then try again")
    return Failure(f"{place}{error.strerror or error}")


def _of_library(error: Exception) -> Failure:
    return Failure(str(error) or type(error).__name__)


def _of_memory(error: MemoryError) -> Failure:
    # Ours says what was asked for; NumPy's and Python's own do not say what to do.
    ours = str(error) if type(error) is MemoryError else ""
    return Failure(ours or "out of memory; use smaller batches or layers")

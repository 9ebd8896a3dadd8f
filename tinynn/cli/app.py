"""The commands together, and the way from their exceptions to an exit status."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

import tinynn
from tinynn.cli import (
    chat,
    evaluate,
    generate,
    info,
    predict,
    pull,
    quantize,
    study,
    train,
    train_gpt,
)
from tinynn.cli.failures import report

__all__ = ["app", "run"]

SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=SETTINGS)
train_app = typer.Typer(help="Train a network.", rich_markup_mode=None, context_settings=SETTINGS)
train_app.command("mnist", epilog=train.EXAMPLES)(train.train_mnist)
train_app.command("gpt", epilog=train_gpt.EXAMPLES)(train_gpt.train_gpt)
app.add_typer(train_app, name="train")
app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("predict", epilog=predict.EXAMPLES)(predict.predict)
app.command("pull", epilog=pull.EXAMPLES)(pull.pull)
app.command("quantize", epilog=quantize.EXAMPLES)(quantize.quantize)
app.command("generate", epilog=generate.EXAMPLES)(generate.generate)
app.command("chat", epilog=chat.EXAMPLES)(chat.chat)
app.command("study", epilog=study.EXAMPLES)(study.study)
app.command("info", epilog=info.EXAMPLES)(info.info)


def show_version(wanted: bool) -> None:
    if wanted:
        print(f"tinynn {tinynn.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """A neural-network engine in NumPy and CuPy that a person can read."""


def run(arguments: Sequence[str]) -> int:
    """Runs a command line and returns the exit status; a failure is one line on stderr."""
    command = typer.main.get_command(app)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            for category in (UserWarning, RuntimeWarning):
                warnings.filterwarnings("default", category=category)
            with command.make_context("tinynn", list(arguments) or ["--help"]) as context:
                command.invoke(context)
            sys.stdout.flush()
    except typer.Exit as done:
        return done.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BaseException as error:
        return report(error)
    return 0


def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)

"""`tinynn train mnist`: from options to a recipe, and from what came of it to a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinynn.cli.failures import UsageError, as_written
from tinynn.cli.options import (
    CompileOption,
    DataOption,
    DeviceOption,
    OverwriteOption,
    ResumeOption,
    SeedOption,
    ThreadsOption,
    check_run,
    prepare,
)

if TYPE_CHECKING:
    from tinynn.training.recipe import Recipe

__all__ = ["EXAMPLES", "train_mnist"]

EXAMPLES = """\b
Examples:
  tinynn train mnist
  tinynn train mnist --model cnn --epochs 5 --out runs/cnn
  tinynn train mnist --hidden none --epochs 5 --out runs/softmax
  tinynn train mnist --subset 1000 --batch-size 32 --lr find --out runs/small
  tinynn train mnist --optimizer adamw --lr 0.001 --augment --out runs/adamw
  tinynn train mnist --resume
"""


# The options that make up the recipe; the others say where and how to carry it out.
RECIPE_NAMES = (
    *("epochs", "batch_size", "lr", "hidden", "activation", "optimizer", "momentum", "scheduler"),
    *("dropout", "weight_decay", "label_smoothing", "clip_norm", "augment", "subset"),
    *("early_stopping", "seed", "model"),
)
FIND = "find"
# What a recipe holds until the range test has found a learning rate.
TO_BE_FOUND = 1.0


def train_mnist(
    context: typer.Context,
    model: Annotated[
        str, typer.Option(help="mlp, or cnn: two convolutions, 99% and more.")
    ] = "mlp",
    epochs: Annotated[int, typer.Option(help="Passes over the training images.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = 64,
    lr: Annotated[
        str, typer.Option(metavar="RATE|find", help="Learning rate; find looks for one.")
    ] = "0.1",
    hidden: Annotated[
        str, typer.Option(metavar="N,N,...|none", help="Units of the hidden layers of an mlp.")
    ] = "256,128",
    activation: Annotated[
        str, typer.Option(help="relu, leaky_relu, elu, gelu, silu, sigmoid, tanh or identity.")
    ] = "relu",
    optimizer: Annotated[str, typer.Option(help="sgd or adamw.")] = "sgd",
    momentum: Annotated[float, typer.Option(help="Of sgd.")] = 0.0,
    scheduler: Annotated[
        str,
        typer.Option(
            help="none, cosine, linear, exponential, step, multistep, onecycle or plateau."
        ),
    ] = "cosine",
    dropout: Annotated[float, typer.Option(help="Share of hidden units that is dropped.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(help="Of either optimizer, as in PyTorch.")] = 0.0,
    label_smoothing: Annotated[
        float, typer.Option(help="Share of a label that is spread over all classes.")
    ] = 0.0,
    clip_norm: Annotated[
        float | None, typer.Option(help="Greatest norm of the gradient.", show_default="any")
    ] = None,
    augment: Annotated[
        bool, typer.Option("--augment", help="Shift, turn and scale the images a little.")
    ] = False,
    subset: Annotated[
        int | None, typer.Option(metavar="N", help="Train on N images.", show_default="all")
    ] = None,
    early_stopping: Annotated[
        int | None,
        typer.Option(
            metavar="PATIENCE",
            help="Stop after so many epochs without a better one; keep the best.",
        ),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    seed: SeedOption = 0,
    data: DataOption = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The run's folder.")] = Path(
        "runs/mnist"
    ),
    checkpoint_every: Annotated[
        int | None, typer.Option(metavar="STEPS", help="Checkpoints within epochs, too.")
    ] = None,
    compile: CompileOption = True,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Train an MLP or a CNN on MNIST, or on images in its form.

    It leaves in --out: model.safetensors, config.json, metrics.jsonl, checkpoints and pictures.
    """
    from tinynn.cli.tables import accuracy_table
    from tinynn.training import mnist
    from tinynn.training.recipe import Recipe
    from tinynn.training.run_folder import RunFolder

    prepare(device, seed, threads)
    check_run(resume, overwrite, checkpoint_every)
    options = {name: context.params[name] for name in RECIPE_NAMES}
    recipe = Recipe(**options | {"lr": parse_lr(lr), "hidden": parse_hidden(hidden)})
    if resume:
        given = [name for name in RECIPE_NAMES if is_given(context, name)]
        recipe, stored_data = read_run(out, recipe, given)
        data = data or stored_data
    judgement = mnist.train_mnist(
        recipe,
        out,
        data=data,
        device=device,
        resume=resume,
        overwrite=overwrite,
        find_lr=lr == FIND and not resume,
        checkpoint_every=checkpoint_every,
        compile=compile,
    )
    print(f"\n{accuracy_table(judgement, RunFolder(out).load_config().classes)}\n")
    print(f"the run is in {out}; try: tinynn predict {out} FILE_OR_FOLDER")
    print(f"test accuracy: {judgement.accuracy:.4f}")


def parse_lr(text: str) -> float:
    if text == FIND:
        return TO_BE_FOUND
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--lr is {text!r}, expected a number above 0, or {FIND}") from None


def parse_hidden(text: str) -> tuple[int, ...]:
    """The units of the hidden layers, from "256,128" or "none"."""
    if text == "none":
        return ()
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise UsageError(
            f"--hidden is {text!r}, expected whole numbers with commas between, or none"
        ) from None


def is_given(context: typer.Context, name: str) -> bool:
    source: Any = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def read_run(out: Path, recipe: Recipe, given: list[str]) -> tuple[Recipe, Path | None]:
    """The recipe and the data of the run in `out`; options that were given must be the same."""
    from tinynn.training.run_folder import RunFolder

    config = RunFolder(out).load_config()
    refuse_changes(given, recipe, config.recipe, out)
    return config.recipe, None if config.data is None else Path(config.data)


def refuse_changes(given: list[str], recipe: Any, stored_recipe: Any, out: Path) -> None:
    """Raises UsageError for a given option that is not as the run in `out` has it."""
    for name in given:
        wanted, stored = getattr(recipe, name), getattr(stored_recipe, name)
        if wanted not in (stored, TO_BE_FOUND if name == "lr" else stored):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} is {as_written(wanted)}, but the run in {out} was begun with "
                f"{as_written(stored)}; leave {option} out, or begin another run (--out)"
            )

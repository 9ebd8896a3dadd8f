"""`tinynn evaluate`: a trained network against images whose classes are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinynn.cli.options import DataOption, DeviceOption, SeedOption, ThreadsOption, prepare

__all__ = ["EXAMPLES", "evaluate"]

EXAMPLES = """\b
Examples:
  tinynn evaluate runs/mnist
  tinynn evaluate runs/mnist --subset 1000 --seed 1
"""


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    subset: Annotated[
        int | None,
        typer.Option(metavar="N", help="N images, by --seed.", show_default="all"),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    seed: SeedOption = 0,
    data: DataOption = None,
) -> None:
    """Evaluate a trained network on the test images of the data it was trained on, or of --data."""
    from tinynn import data as datasets
    from tinynn.cli.tables import accuracy_table
    from tinynn.training import mnist
    from tinynn.training.recipe import RecipeError
    from tinynn.training.run_folder import RunFolder

    prepare(device, seed, threads)
    model, config = RunFolder(run).load_model()
    images = mnist.load_images(data or config.data, train=False)
    if subset is not None:
        if not 1 <= subset <= len(images):
            raise RecipeError("subset", subset, f"1 to {len(images)}, all that there are")
        images = datasets.subset(images, subset, seed)
    judgement = mnist.judge(model.to(device=device), config, images)
    print(f"{accuracy_table(judgement, config.classes)}\n")
    print(f"test loss: {judgement.loss:.4f}")
    print(f"test accuracy: {judgement.accuracy:.4f}")

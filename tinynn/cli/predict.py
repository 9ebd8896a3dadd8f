"""`tinynn predict`: what a trained network sees in image files."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from tinynn.cli.failures import FAILED, report
from tinynn.cli.options import DeviceOption, SeedOption, ThreadsOption, prepare

__all__ = ["EXAMPLES", "predict"]

EXAMPLES = """\b
Examples:
  tinynn predict runs/mnist seven.png
  tinynn predict runs/mnist photos/ --csv > answers.csv
"""


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE_OR_FOLDER...", help="Images, or folders of images."),
    ],
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    seed: SeedOption = 0,
) -> None:
    """Tell which digits image files show.

    Images may have any size, be in colour or transparent, dark on light or light on dark; they are
    centred and scaled as MNIST's digits are.
    """
    from tinynn.cli.tables import probability_bars
    from tinynn.data.image_files import find_images, read_digit
    from tinynn.training.mnist import classify
    from tinynn.training.run_folder import RunFolder

    prepare(device, seed, threads)
    model, config = RunFolder(run).load_model()
    model.to(device=device)
    table = csv.writer(sys.stdout, lineterminator="\n")
    if as_csv:
        table.writerow(["file", "answer", *config.classes])
    has_failed = False
    for path in find_images(files):
        try:
            image = read_digit(path)
        except (ValueError, OSError) as error:  # the other files are answered all the same
            report(error)
            has_failed = True
            continue
        probabilities = classify(model, config, image[None])[0]
        answer = config.classes[probabilities.argmax()]
        if as_csv:
            table.writerow([path, answer, *(f"{value:.6f}" for value in probabilities)])
        else:
            print(f"{path}: {answer} ({probabilities.max():.1%})")
            print(probability_bars(probabilities, config.classes))
    if has_failed:
        raise typer.Exit(FAILED)

"""`tinynn evaluate`: a trained network against what it was not trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinynn.cli.options import DeviceOption, SeedOption, ThreadsOption, prepare

__all__ = ["EXAMPLES", "evaluate"]

EXAMPLES = """\b
Examples:
  tinynn evaluate runs/mnist
  tinynn evaluate runs/mnist --subset 1000 --seed 1
  tinynn evaluate runs/gpt
"""


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")],
    subset: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="N images, by --seed, or N windows of a text.",
            show_default="all images, or the windows of the training",
        ),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    seed: SeedOption = 0,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE",
            help="A folder of IDX files; for a language model a text in UTF-8.",
            show_default="the run's own",
        ),
    ] = None,
) -> None:
    """Evaluate a trained network on what it was not trained on, or on --data.

    A network for images is evaluated on the test images of its data; a language model on the last
    tenth of its text, which was held back.
    """
    from tinynn.training.run_files import TEXT_RUN

    prepare(device, seed, threads)
    if (run / TEXT_RUN).is_file():
        _evaluate_text(run, subset, device, data)
    else:
        _evaluate_images(run, subset, device, seed, data)


def _evaluate_images(
    run: Path, subset: int | None, device: str, seed: int, data: Path | None
) -> None:
    from tinynn import data as datasets
    from tinynn.cli.tables import accuracy_table
    from tinynn.training import mnist
    from tinynn.training.recipe import RecipeError
    from tinynn.training.run_folder import RunFolder

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


def _evaluate_text(run: Path, subset: int | None, device: str, data: Path | None) -> None:
    from tinynn.training.text_evaluation import judge_text

    judged = judge_text(run, data, subset, device)
    where, part = ("held back", "validation") if data is None else (f"of {data}", "test")
    print(
        f"{judged.tokens:,} tokens {where}, {judged.windows:,} windows of {judged.length} tokens "
        "looked at"
    )
    print(f"{part} loss: {judged.loss:.4f} nats per token")
    print(f"perplexity: {judged.perplexity:.2f}")

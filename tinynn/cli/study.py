"""`tinynn study`: the list of the case studies, or one of them run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinynn.cli.failures import UsageError, did_you_mean
from tinynn.cli.options import DeviceOption, SeedOption, prepare

__all__ = ["EXAMPLES", "study"]

EXAMPLES = """\b
Examples:
  tinynn study
  tinynn study nonlinearity
  tinynn study nonlinearity --quick --seed 1 --out runs/look
"""


def study(
    name: Annotated[
        str | None, typer.Argument(help="Which; without it they are listed.", show_default=False)
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Under a minute, too short to conclude from.")
    ] = False,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="For the report.", show_default="runs/NAME"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the study in --out.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="In place of MNIST a folder of IDX files; in place of Shakespeare, for "
            "quantization, a text.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(metavar="N", help="Runs at a time.", show_default="as many as cores"),
    ] = None,
    device: DeviceOption = "cpu",
) -> None:
    """Ask a question about networks, and answer it by training some.

    It leaves in --out: report.md, figures, and results.json with all that was measured.
    """
    from textwrap import fill

    from tinynn.backend.machine import usable_cores
    from tinynn.studies import load_study, study_names
    from tinynn.studies.shared.study import run_study
    from tinynn.studies.shared.workers import Workers
    from tinynn.training.progress import is_live

    if name is None:
        list_studies()
        return
    names = study_names()
    if name not in names:
        hint = did_you_mean(name, names)
        raise UsageError(f"NAME is {name}, expected one of {', '.join(names)}{hint}")
    prepare(device, seed, threads=1)
    if processes is not None and processes < 1:
        raise UsageError(f"--processes is {processes}, expected at least 1")
    folder = out or Path("runs", name)
    workers = Workers(
        processes or usable_cores(),
        data=None if data is None else str(data.absolute()),
        device=device,
        is_live=is_live(),
    )
    chosen = load_study(name)
    results = run_study(chosen, folder, workers, quick=quick, seed=seed, overwrite=overwrite)
    for paragraph in chosen.answer(results).strip().split("\n\n"):
        print(f"\n{fill(paragraph, 100)}")
    print()
    print(f"the report is {folder / 'report.md'}")


def list_studies() -> None:
    from tinynn.studies import load_study, study_names

    names = study_names()
    for name in names:
        print(f"{name:<{max(map(len, names))}}  {load_study(name).summary}")
    print("\nrun one with: tinynn study NAME")

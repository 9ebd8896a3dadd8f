"""The options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinynn.cli.failures import UsageError

DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:INDEX.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of everything random.")]
# Networks of this size gain nothing from a second thread, and on a busy machine a product that is
# split among threads waits for the one that was not let run.
ThreadsOption = Annotated[int, typer.Option("--threads", help="Threads that compute.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="A folder of IDX files, gzipped or not; by default MNIST, fetched the first time.",
    ),
]

CompileOption = Annotated[
    bool,
    typer.Option("--compile/--no-compile", help="Record the step once and replay it: faster."),
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in --out, with its options.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")]


def check_run(resume: bool, overwrite: bool, checkpoint_every: int | None) -> None:
    """Checks the options of a training's run."""
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise UsageError(f"--checkpoint-every is {checkpoint_every}, expected at least 1")


def prepare(device: str, seed: int, threads: int) -> None:
    """Checks the shared options and puts them into force."""
    from tinynn.backend.devices import Device, backend_for
    from tinynn.backend.random import manual_seed
    from tinynn.backend.threads import set_num_threads

    backend_for(Device(device))
    if not 0 <= seed < 2**64:
        raise UsageError(f"--seed is {seed}, expected a whole number from 0 to 2**64 - 1")
    manual_seed(seed)
    if threads < 1:
        raise UsageError(f"--threads is {threads}, expected at least 1")
    set_num_threads(threads)

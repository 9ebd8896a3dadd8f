"""`tinynn quantize`: a language model in fewer bits, as a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tinynn.cli.failures import UsageError, did_you_mean
from tinynn.cli.language import CoresOption, cores, loaded
from tinynn.cli.options import prepare

__all__ = ["EXAMPLES", "quantize"]

EXAMPLES = """\b
Examples:
  tinynn quantize smollm2 models/smollm2-int8
  tinynn quantize models/qwen models/qwen-int4 --quantize int4 --overwrite
  tinynn quantize model.gguf models/exact --quantize none
"""


def quantize(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A GGUF file, a Hugging Face folder, or smollm2."),
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to be written.")],
    quantize: Annotated[
        str,
        typer.Option(
            "--quantize",
            metavar="FORMAT",
            help="int8, int8-32, int4, int4-symmetric, fp16, bf16; stored, as the file has them; "
            "or none, float32.",
        ),
    ] = "int8",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the model that is in FOLDER.")
    ] = False,
    threads: CoresOption = None,
) -> None:
    """Write a model in fewer bits.

    The folder is what --model of generate and chat takes; the original is not needed.
    """
    from tinynn import generation
    from tinynn.quant import FORMATS, STORED

    known = (*FORMATS, STORED, "none")
    if quantize not in known:
        hint = did_you_mean(quantize, known)
        raise UsageError(f"--quantize is {quantize}, expected one of {', '.join(known)}{hint}")
    if folder.exists() and not overwrite:
        raise UsageError(f"{folder} exists; --overwrite replaces the model in it")
    prepare("cpu", 0, cores(threads))
    fetched = model in generation.PUBLISHED and not Path(model).exists()
    source = generation.pull(model) if fetched else Path(model)
    if source.exists():
        print(f"reading {source}, weights as {quantize}", file=sys.stderr)
    read = loaded(str(source), quantize, "cpu")
    print(f"writing {folder}", file=sys.stderr)
    before = _weight_bytes(source)
    folder.parent.mkdir(parents=True, exist_ok=True)
    generation.save(read, folder, overwrite=overwrite)
    print(f"{_megabytes(before)} -> {_megabytes(_weight_bytes(folder))}")
    print(f"try: tinynn chat --model {folder}")


def _weight_bytes(path: Path) -> int:
    files = path.glob("*.safetensors") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _megabytes(number: int) -> str:
    return f"{number / 1e6:,.1f} MB"

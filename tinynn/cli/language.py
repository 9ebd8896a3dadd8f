"""The options that the commands of language models share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tinynn.backend.machine import usable_cores
from tinynn.cli.failures import UsageError

ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="PATH_OR_NAME",
        help="A GGUF file, a folder of Hugging Face or of tinynn quantize, or smollm2, which is "
        "fetched the first time.",
    ),
]
QuantizeOption = Annotated[
    str,
    typer.Option(
        "--quantize",
        metavar="FORMAT",
        help="What weights are multiplied as: stored, as the file has them; int8, int8-32, int4, "
        "int4-symmetric, fp16, bf16 or none, float32.",
    ),
]
MaxNewTokensOption = Annotated[
    int, typer.Option("--max-new-tokens", metavar="N", help="The most tokens that are generated.")
]
TemperatureOption = Annotated[
    float, typer.Option("--temperature", help="0 takes the most probable token, 1 draws as it is.")
]
TopKOption = Annotated[
    int | None, typer.Option("--top-k", help="Draw from so many of the most probable tokens.")
]
TopPOption = Annotated[
    float, typer.Option("--top-p", help="Draw from the most probable ones of this sum.")
]
MinPOption = Annotated[
    float, typer.Option("--min-p", help="Draw from those this share as probable as the first.")
]
RepetitionOption = Annotated[
    float, typer.Option("--repetition-penalty", help="Above 1: against what was there before.")
]
CacheDtypeOption = Annotated[
    str,
    typer.Option(
        "--cache-dtype",
        metavar="DTYPE",
        help="What keys and values are kept in: float32; float16 or bfloat16, half the memory; "
        "int8, a quarter.",
    ),
]
CoresOption = Annotated[
    int | None, typer.Option("--threads", help="Threads that compute; by default all cores.")
]


def cores(threads: int | None) -> int:
    """The number of threads: as many as this process may use, where none is given."""
    return usable_cores() if threads is None else threads


def loaded(path_or_name: str, quantize: str, device: str) -> Any:
    """The model that the options ask for."""
    from tinynn import generation, quant

    model = generation.load(path_or_name, None if quantize == "none" else quantize, device)
    if quantize == "none" and quant.quantization_settings(model):
        raise UsageError(
            f"--quantize is none, but {path_or_name} was saved quantized, and what was rounded off "
            "is lost; give --quantize stored, or the model that it was made of"
        )
    return model


def sampling(
    temperature: float,
    top_k: int | None,
    top_p: float,
    min_p: float,
    repetition_penalty: float,
) -> dict[str, Any]:
    """The options of `generate` that say how tokens are chosen."""
    return {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
    }

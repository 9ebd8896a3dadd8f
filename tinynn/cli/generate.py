"""`tinynn generate`: a language model writes on from a text."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from tinynn.cli.language import (
    CacheDtypeOption,
    CoresOption,
    MaxNewTokensOption,
    MinPOption,
    ModelOption,
    QuantizeOption,
    RepetitionOption,
    TemperatureOption,
    TopKOption,
    TopPOption,
    cores,
    loaded,
    sampling,
)
from tinynn.cli.options import DeviceOption, SeedOption, prepare

__all__ = ["EXAMPLES", "generate"]

EXAMPLES = """\b
Examples:
  tinynn generate "The capital of France is"
  tinynn generate "Once upon a time" --temperature 0.8 --top-p 0.9 --seed 3
  tinynn generate "def fibonacci(n):" --model models/qwen --stop "def "
"""


def generate(
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="The text; - reads it from stdin.")
    ],
    model: ModelOption = "smollm2",
    quantize: QuantizeOption = "stored",
    max_new_tokens: MaxNewTokensOption = 128,
    temperature: TemperatureOption = 0.0,
    top_k: TopKOption = None,
    top_p: TopPOption = 1.0,
    min_p: MinPOption = 0.0,
    repetition_penalty: RepetitionOption = 1.0,
    stop: Annotated[
        list[str] | None, typer.Option("--stop", help="A text that ends it; may be given again.")
    ] = None,
    drafts: Annotated[
        int, typer.Option("--drafts", help="Tokens that prompt look-up may propose in a step.")
    ] = 0,
    cache_dtype: CacheDtypeOption = "float32",
    device: DeviceOption = "cpu",
    threads: CoresOption = None,
    seed: SeedOption = 0,
) -> None:
    """Write on from a text.

    The text appears as it is made; how fast it was is told on stderr.
    """
    from tinynn import generation

    prepare(device, seed, cores(threads))
    text = sys.stdin.read() if prompt == "-" else prompt
    options = sampling(temperature, top_k, top_p, min_p, repetition_penalty)
    pieces = generation.stream(
        loaded(model, quantize, device),
        text,
        max_new_tokens,
        **options,
        stop=stop or (),
        drafts=drafts,
        cache_dtype=cache_dtype,
        seed=seed,
    )
    start = first = time.perf_counter()
    count = 0
    for count, piece in enumerate(pieces, 1):
        if count == 1:
            first = time.perf_counter()
        print(piece.text, end="", flush=True)
    print()
    seconds = time.perf_counter() - first
    rate = f", then {(count - 1) / seconds:.0f} tokens/s" if count > 1 else ""
    print(f"{count} tokens, the first after {first - start:.2f} s{rate}", file=sys.stderr)

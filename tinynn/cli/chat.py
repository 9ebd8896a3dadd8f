"""`tinynn chat`: a conversation with a language model, in the terminal."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, Any

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

__all__ = ["EXAMPLES", "chat"]

EXAMPLES = """\b
Examples:
  tinynn chat
  tinynn chat --system "You answer in one sentence." --temperature 0.7
"""
HELP = "/reset begins anew, /save FILE writes the conversation, /exit or Ctrl-D ends, Ctrl-C stops"


def chat(
    model: ModelOption = "smollm2",
    quantize: QuantizeOption = "stored",
    system: Annotated[
        str | None, typer.Option("--system", help="What the model is told before all else.")
    ] = None,
    max_new_tokens: MaxNewTokensOption = 512,
    temperature: TemperatureOption = 0.7,
    top_k: TopKOption = None,
    top_p: TopPOption = 0.95,
    min_p: MinPOption = 0.0,
    repetition_penalty: RepetitionOption = 1.1,
    cache_dtype: CacheDtypeOption = "float32",
    device: DeviceOption = "cpu",
    threads: CoresOption = None,
    seed: SeedOption = 0,
) -> None:
    """Talk with a model.

    What was said stays in its cache, so that only what is new is read in each turn.
    """
    from tinynn import generation

    prepare(device, seed, cores(threads))
    options = sampling(temperature, top_k, top_p, min_p, repetition_penalty)
    options["cache_dtype"] = cache_dtype
    language_model = loaded(model, quantize, device)
    conversation = generation.Conversation(language_model, system, max_new_tokens, **options)
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        import readline  # noqa: F401 (gives input() its line editing and history)

        print(HELP)
    turn = 0
    while True:
        try:
            line = input("\nyou> " if is_terminal else "").strip()
        except EOFError:
            if is_terminal:
                print()
            return
        if line in ("/exit", "/quit"):
            return
        if line.startswith("/"):
            _command(conversation, line)
        elif line:
            _reply(conversation, line, seed + turn)
            turn += 1


def _command(conversation: Any, line: str) -> None:
    """What begins with a slash."""
    name, _, argument = line.partition(" ")
    if name == "/reset":
        conversation.reset()
        print("what was said is forgotten")
    elif name == "/save" and argument:
        _save(conversation, argument.strip())
    else:
        print(HELP)


def _save(conversation: Any, path: str) -> None:
    from tinynn.io import atomic_write

    try:
        with atomic_write(path) as file:
            text = json.dumps(conversation.messages, ensure_ascii=False, indent=1)
            file.write(text.encode() + b"\n")
    except OSError as error:
        print(f"{path}: {error.strerror}; nothing is saved", file=sys.stderr)
    else:
        print(f"{len(conversation.messages)} messages are in {path}")


def _reply(conversation: Any, line: str, seed: int) -> None:
    """Prints the reply as it comes, and on stderr how fast it did; Ctrl-C stops it."""
    conversation.options["seed"] = seed
    start = first = time.perf_counter()
    count = 0
    try:
        for count, piece in enumerate(conversation.send(line), 1):
            if count == 1:
                first = time.perf_counter()
            print(piece.text, end="", flush=True)
    except ValueError as error:
        print(f"{error} (/reset)", file=sys.stderr)
        return
    except KeyboardInterrupt:
        print(" [stopped]", end="")
    print()
    rate = (count - 1) / max(time.perf_counter() - first, 1e-9)
    print(
        f"[{conversation.read} tokens read, {conversation.reused} known; the first after "
        f"{first - start:.2f} s, then {rate:.0f} tokens/s]",
        file=sys.stderr,
    )

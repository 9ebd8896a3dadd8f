"""`tinynn train gpt`: from options to a recipe."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

from tinynn.cli.failures import UsageError
from tinynn.cli.options import (
    CompileOption,
    DeviceOption,
    OverwriteOption,
    ResumeOption,
    SeedOption,
    ThreadsOption,
    check_run,
    prepare,
)
from tinynn.cli.train import is_given, refuse_changes

__all__ = ["EXAMPLES", "train_gpt"]

EXAMPLES = """\b
Examples:
  tinynn train gpt
  tinynn train gpt --data novel.txt --tokenizer bpe --out runs/novel
  tinynn train gpt --layers 6 --width 192 --context 128 --out runs/large
  tinynn train gpt --resume
"""

# The options that make up the recipe; the others say where and how to carry it out.
RECIPE_NAMES = (
    *("layers", "heads", "width", "context", "batch_size", "steps", "lr", "warmup", "dropout"),
    *("weight_decay", "clip_norm", "accumulate", "tokenizer", "vocab_size", "evaluate_every"),
    "seed",
)
SHAKESPEARE = "shakespeare"


def train_gpt(
    context_: typer.Context,
    data: Annotated[
        str,
        typer.Option(
            metavar="FILE|shakespeare", help="A text in UTF-8; shakespeare is fetched once."
        ),
    ] = SHAKESPEARE,
    layers: Annotated[int, typer.Option(help="Layers of the Transformer.")] = 4,
    heads: Annotated[int, typer.Option(help="Heads of attention in each.")] = 4,
    width: Annotated[int, typer.Option(help="Numbers in the vector of a token.")] = 128,
    context: Annotated[int, typer.Option(help="The longest text it sees, in tokens.")] = 64,
    batch_size: Annotated[int, typer.Option(help="Texts in a batch.")] = 12,
    steps: Annotated[int, typer.Option(help="Steps of the optimizer, AdamW.")] = 2000,
    lr: Annotated[float, typer.Option(help="The greatest learning rate.")] = 1e-3,
    warmup: Annotated[int, typer.Option(help="Steps in which it rises; then a cosine.")] = 100,
    dropout: Annotated[float, typer.Option(help="Share that is dropped in training.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(help="Of the matrices.")] = 0.1,
    clip_norm: Annotated[float, typer.Option(help="Greatest norm of the gradient.")] = 1.0,
    accumulate: Annotated[int, typer.Option(help="Batches that make up a step.")] = 1,
    tokenizer: Annotated[
        str, typer.Option(help="char, or bpe: byte pairs that often occur.")
    ] = "char",
    vocab_size: Annotated[int, typer.Option(help="Tokens of bpe, at most.")] = 1024,
    evaluate_every: Annotated[
        int | None,
        typer.Option(
            metavar="STEPS", help="Validation, a sample and a checkpoint.", show_default="an eighth"
        ),
    ] = None,
    samples: Annotated[
        bool, typer.Option("--samples/--no-samples", help="Show what it writes by then.")
    ] = True,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
    seed: SeedOption = 0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The run's folder.")] = Path("runs/gpt"),
    checkpoint_every: Annotated[
        int | None, typer.Option(metavar="STEPS", help="Checkpoints between, too.")
    ] = None,
    compile: CompileOption = True,
    gradient_checkpointing: Annotated[
        bool,
        typer.Option(
            "--gradient-checkpointing",
            help="Needs less memory: each layer is computed again in backward; implies "
            "--no-compile.",
        ),
    ] = False,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Train a small GPT from scratch on a text.

    It leaves in --out what `tinynn generate --model` reads, metrics.jsonl, checkpoints and
    curves.png. A model writes no more than its context at a time.
    """
    from tinynn.training.gpt import train_gpt as train
    from tinynn.training.text_recipe import TextRecipe
    from tinynn.training.text_run import TextRunFolder

    prepare(device, seed, threads)
    check_run(resume, overwrite, checkpoint_every)
    options = {name: context_.params[name] for name in RECIPE_NAMES}
    if resume:
        stored = TextRunFolder(out).load()
        given = [name for name in RECIPE_NAMES if is_given(context_, name)]
        refuse_changes(given, SimpleNamespace(**options), stored.recipe, out)
        recipe = stored.recipe
        source = data if data == SHAKESPEARE else os.path.abspath(data)
        if is_given(context_, "data") and source != stored.data:
            raise UsageError(
                f"--data is {data}, but the run in {out} was begun with {stored.data}; leave "
                "--data out, or begin another run (--out)"
            )
    else:
        recipe = TextRecipe(**options)
    result = train(
        recipe,
        out,
        data=data,
        device=device,
        resume=resume,
        overwrite=overwrite,
        checkpoint_every=checkpoint_every,
        compile=compile,
        gradient_checkpointing=gradient_checkpointing,
        samples=samples,
    )
    print(f'\nthe run is in {out}; try: tinynn generate "ROMEO:" --model {out} --temperature 0.8')
    print(f"validation loss: {result.history[-1]['validation_loss']:.4f} nats per token")

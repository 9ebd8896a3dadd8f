"""Training a small GPT on a text, from the text to a folder that `tinynn generate` reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tinynn.backend.kernel_table import kernel_cache
from tinynn.backend.random import manual_seed
from tinynn.backend.threads import get_num_threads
from tinynn.data import SHAKESPEARE, TokenWindows, load_text
from tinynn.generation import generate
from tinynn.io.atomic import StrPath, remove_leftovers
from tinynn.models import Transformer
from tinynn.training.fit import FitResult
from tinynn.training.pictures import draw_curves
from tinynn.training.progress import Progress, choose_progress
from tinynn.training.text_recipe import TextRecipe
from tinynn.training.text_run import TextRun, TextRunFolder
from tinynn.training.vocabulary import Vocabulary, vocabulary_of

__all__ = ["sample", "split_tokens", "train_gpt"]

# The last tenth of a text is for validation ...
VALIDATION_SHARE = 0.1
# ... of which so many windows of a context's length are looked at, spread over it.
VALIDATION_WINDOWS = 600
VALIDATED_AT_ONCE = 50
TEMPERATURE = 0.8
# The most tokens of a sample; the context may end it sooner.
SAMPLE_TOKENS = 200

Say = Callable[[str], None]


def train_gpt(
    recipe: TextRecipe,
    folder: StrPath,
    *,
    data: StrPath = SHAKESPEARE,
    device: str = "cpu",
    resume: bool = False,
    overwrite: bool = False,
    checkpoint_every: int | None = None,
    compile: bool = True,
    gradient_checkpointing: bool = False,
    samples: bool = True,
    progress: Progress | str | None = "auto",
    say: Say = print,
) -> FitResult:
    """Trains a Transformer to write on a text, and leaves everything in a folder.

    Arguments:
        folder: gets run.json, tokenizer.json, tokens.bin, metrics.jsonl, checkpoints/, and at the
            end config.json, model.safetensors and curves.png.
        data: a text in UTF-8, or "shakespeare", which is fetched the first time.
        resume: go on with the run in the folder, with its recipe and its tokens; `recipe` and
            `data` are not looked at.
        overwrite: replace the run in the folder, once the text is there.
        checkpoint_every: a checkpoint after every so many steps, besides those at evaluations.
        compile: record the step once and replay it, see `tn.compile`; the results are the same.
        gradient_checkpointing: keep the input of each layer alone, and compute the layer again in
            backward: less memory, more time, the results of compile=False. Steps are not recorded
            then, because a recording holds all that one step computes.
        samples: write what the model writes by then after each evaluation.
        progress: as for Trainer.
        say: receives lines of text.

    Raises FileExistsError for a folder that holds a run, unless told what to do with it, ValueError
    for a text too short for the context, and what `load_text` and `Trainer.fit` raise.
    """
    files = TextRunFolder(folder)
    files.refuse_other_run(resume, overwrite)
    if not resume:
        _begin(files, recipe, data, overwrite)
    run = files.load()
    remove_leftovers(files.path)
    recipe = run.recipe
    train, validation = split_tokens(run.tokens)
    batches = recipe.make_batches(train)
    judges = TokenWindows(validation, recipe.context, VALIDATION_WINDOWS, VALIDATED_AT_ONCE)
    say(
        f"{len(train):,} tokens to train, {len(validation):,} to validate, a vocabulary of "
        f"{run.vocabulary.size:,}"
    )
    if kernel_cache()[1]:
        say("CPU kernels are compiled during the first step, once")

    manual_seed(recipe.seed)
    model = recipe.make_model(run.vocabulary.size).to(device=device)
    model.gradient_checkpointing = gradient_checkpointing
    say(_describe(model, recipe))
    note = (lambda: _indented(sample(model, run))) if samples else None
    trainer = recipe.make_trainer(
        model,
        folder=files.path,
        checkpoint_every=checkpoint_every,
        compile=compile and not gradient_checkpointing,
        progress=choose_progress(
            progress, steps=recipe.steps, accumulate=recipe.accumulate, note=note
        ),
    )
    result = trainer.fit(batches, recipe.evaluations, judges, resume=resume)
    files.save_model(model)
    draw_curves(result.history, files.curves, by="step", unit="nats per token")
    return result


def split_tokens(tokens: Any) -> tuple[Any, Any]:
    """(to train on, to validate with): the last tenth is for validation.

    >>> [len(part) for part in split_tokens(range(95))]
    [85, 10]
    """
    held_back = round(len(tokens) * VALIDATION_SHARE + 0.49)
    return tokens[: len(tokens) - held_back], tokens[len(tokens) - held_back :]


def sample(model: Transformer, run: TextRun, seed: int = 0) -> str:
    """What a model writes when nothing is said, as long as its context and at most 200 tokens."""
    prompt = [_beginning(run.vocabulary, int(run.tokens[0]))]
    if model.config.max_positions < 2:  # there is no room beside the prompt
        return ""
    written = generate(model, prompt, SAMPLE_TOKENS, temperature=TEMPERATURE, seed=seed)
    return run.vocabulary.decode(written.token_ids)


def _beginning(vocabulary: Vocabulary, otherwise: int) -> int:
    """The token of a new line; another one where the text has none."""
    try:
        (ids,) = vocabulary.encode("\n")
    except ValueError:
        return otherwise
    return int(ids[-1])


def _indented(text: str) -> str:
    """A text below a line of the table, without what a terminal would take for a command."""
    lines = text.strip().splitlines() or [""]
    shown = ("".join(sign if sign.isprintable() else "?" for sign in line) for line in lines)
    return "\n".join(f"    | {line}" for line in shown)


def _begin(files: TextRunFolder, recipe: TextRecipe, data: StrPath, overwrite: bool) -> None:
    text = load_text(data)
    vocabulary = vocabulary_of(text, recipe.tokenizer, recipe.vocab_size)
    least = round((recipe.context + 1) / VALIDATION_SHARE)
    if recipe.tokenizer == "char" and len(text) < least:
        raise ValueError(
            f"{data} has {len(text):,} characters, a context of {recipe.context} needs {least:,}, "
            "a tenth of them to validate with; give a longer text, or a shorter --context"
        )
    if overwrite:
        files.clear()
    source = SHAKESPEARE if str(data) == SHAKESPEARE else os.path.abspath(data)
    files.begin(recipe, source, text, vocabulary)


def _describe(model: Transformer, recipe: TextRecipe) -> str:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    layers, heads = _counted(recipe.layers, "layer"), _counted(recipe.heads, "head")
    return (
        f"{layers} of {heads}, width {recipe.width}, context {recipe.context}, {parameters:,} "
        f"parameters, on {model.device} with {_counted(get_num_threads(), 'thread')}"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

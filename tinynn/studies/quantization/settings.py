"""How much of the study of quantization is run."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COARSE", "EXACT", "ROUNDED", "TRAINED", "WHOLE", "Settings"]

EXACT = "fp32"  # every weight a float of 32 bits
COARSE = "int4-symmetric"  # coarse enough for its errors to stand out in a single layer
TRAINED = "trained here"  # in the place of a model's name
ROUNDED = ("fp16", "bf16", "int8-32", "int8", "int4", "int4-symmetric")
# Formats whose layers round their inputs, too, unless they are told not to.
WHOLE = ("int8", "int8-32", "int4", "int4-symmetric")


@dataclass(frozen=True)
class Settings:
    """How much is run.

    model: what is examined, a name that `generation.load` knows, or TRAINED for the widest of the
        networks trained here.
    windows, window: the texts that perplexity is measured on, and their tokens.
    probed: tokens of the text that single layers are judged by, and of the one before it, which
        outliers are found in.
    kept: the share of columns that stay exact.
    prompt, written: tokens that are read and written to be timed, in so many rounds.
    widths, layers, context, batch_size, steps, rate, runs: of the networks trained here, two sizes,
        each trained so many times.
    judged: windows of their text that their loss is measured on.
    """

    model: str = "smollm2"
    windows: int = 8
    window: int = 512
    probed: int = 256
    kept: float = 0.01
    prompt: int = 256
    written: int = 32
    rounds: int = 5
    widths: tuple[int, int] = (96, 160)
    layers: int = 4
    context: int = 64
    batch_size: int = 16
    steps: int = 500
    rate: float = 2e-3
    runs: int = 3
    judged: int = 300

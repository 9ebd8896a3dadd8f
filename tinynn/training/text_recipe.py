"""The recipe of `tinynn train gpt`: every choice that decides the trained language model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tinynn import optim
from tinynn.autograd import Tensor
from tinynn.data import TokenBatches
from tinynn.models import Transformer, TransformerConfig
from tinynn.nn import Module
from tinynn.nn import functional as F
from tinynn.optim.lr_scheduler import LambdaLR
from tinynn.training.recipe import POSITIVE, Check, RecipeError, one_of, optional, real, whole
from tinynn.training.trainer import Trainer
from tinynn.training.vocabulary import LEAST_PAIRS, TOKENIZERS

__all__ = ["TextRecipe", "next_token_loss"]

BETAS = (0.9, 0.99)
# What the learning rate has come down to at the end, as a share of its height.
LAST_RATE = 0.1
# How often a model is evaluated where nothing is said.
EVALUATIONS = 8

# What the cache of keys and values takes, without which the model could not generate.
HEAD_SIZES = range(32, 257, 16)

CHECKS = {
    "layers": whole(1),
    "heads": whole(1),
    "width": Check(
        lambda value: isinstance(value, int) and _heads(value) > 0,
        "a multiple of 16 of at least 32",
    ),
    "context": whole(1),
    "batch_size": whole(1),
    "steps": whole(1),
    "lr": POSITIVE,
    "warmup": whole(0),
    "dropout": real(0, below=1),
    "weight_decay": real(0),
    "clip_norm": optional(POSITIVE),
    "accumulate": whole(1),
    "tokenizer": one_of(TOKENIZERS),
    "vocab_size": whole(LEAST_PAIRS, most=1 << 24),
    "evaluate_every": optional(whole(1)),
    "seed": whole(0, most=2**64 - 1),
}


@dataclass(frozen=True)
class TextRecipe:
    """The choices of training a small GPT; with the defaults it takes minutes on one core.

    The network is GPT-2's (learned positions, LayerNorm before each block, GELU, biases, the head
    tied to the embedding), the optimizer AdamW, without decay of biases and norms.

    Arguments:
        layers, heads, width: of the Transformer.
        context: the longest text that the model sees, in tokens; it is trained on texts so long.
        batch_size: texts in a batch.
        steps: how many of the optimizer.
        lr: the greatest learning rate: it rises for `warmup` steps and falls to a tenth by a
            cosine.
        dropout: the share that is dropped in training of embeddings, attention weights and what a
            block adds.
        weight_decay: of the matrices.
        clip_norm: the greatest 2-norm of the gradient, or None.
        accumulate: batches that make up a step.
        tokenizer: "char", a token for each character, or "bpe", byte pairs.
        vocab_size: how many tokens of byte pairs at most; characters are as many as there are.
        evaluate_every: steps between two evaluations, of which the last is at the end; None for an
            eighth of them.
        seed: of everything random.

    Raises RecipeError for a value out of its range.

    >>> TextRecipe(lr=-1.0)
    Traceback (most recent call last):
        ...
    tinynn.training.recipe.RecipeError: lr is -1.0, expected a number above 0
    """

    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = 64
    batch_size: int = 12
    steps: int = 2000
    lr: float = 1e-3
    warmup: int = 100
    dropout: float = 0.0
    weight_decay: float = 0.1
    clip_norm: float | None = 1.0
    accumulate: int = 1
    tokenizer: str = "char"
    vocab_size: int = 1024
    evaluate_every: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, check in CHECKS.items():
            value = getattr(self, name)
            if not check.accepts(value):
                raise RecipeError(name, value, check.expected)
        size = self.width // self.heads
        if self.width % self.heads or size not in HEAD_SIZES:
            raise RecipeError(
                "heads",
                self.heads,
                f"a divisor of the width {self.width} that gives each head a multiple of 16, from "
                f"{HEAD_SIZES[0]} to {HEAD_SIZES[-1]} numbers, such as {_heads(self.width)}",
            )

    @classmethod
    def from_dict(cls, values: Any) -> TextRecipe:
        """The recipe that `to_dict` gave; ValueError for anything else."""
        if not isinstance(values, Mapping) or not set(values) <= set(CHECKS):
            raise ValueError(f"a recipe is an object with the keys {', '.join(CHECKS)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The choices by name, fit for JSON."""
        return asdict(self)

    @property
    def steps_per_evaluation(self) -> int:
        return min(self.evaluate_every or -(-self.steps // EVALUATIONS), self.steps)

    @property
    def evaluations(self) -> int:
        """How often a model is judged: after every so many steps, and at the end."""
        return -(-self.steps // self.steps_per_evaluation)

    def config(self, vocab_size: int) -> TransformerConfig:
        return TransformerConfig(
            vocab_size=vocab_size,
            hidden_size=self.width,
            num_layers=self.layers,
            num_heads=self.heads,
            max_positions=self.context,
            activation="gelu_tanh",
            gated=False,
            norm="layer",
            learned_positions=True,
            qkv_bias=True,
            out_bias=True,
            mlp_bias=True,
            tied=True,
            dropout=self.dropout,
        )

    def make_model(self, vocab_size: int) -> Transformer:
        """A new model; its initial values come from the seed in use."""
        return Transformer(self.config(vocab_size))

    def make_optimizer(self, model: Module) -> optim.AdamW:
        matrices = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": matrices},
            {"params": others, "weight_decay": 0.0},
        ]
        return optim.AdamW(groups, self.lr, BETAS, weight_decay=self.weight_decay)

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0, as a share of the greatest.

        >>> recipe = TextRecipe(steps=1000, warmup=10)
        >>> [round(recipe.rate(step), 2) for step in (0, 9, 505, 1000)]
        [0.1, 1.0, 0.55, 0.1]
        """
        if step < self.warmup:
            return (step + 1) / self.warmup
        share = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup))
        return LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * share))

    def make_batches(self, tokens: Any) -> TokenBatches:
        """The batches of all steps, from ids to train on, integers [number]; an epoch lasts until
        the next evaluation."""
        per_epoch = self.steps_per_evaluation * self.accumulate
        total = self.steps * self.accumulate
        return TokenBatches(tokens, self.context, self.batch_size, per_epoch, self.seed, total)

    def make_trainer(self, model: Module, **options: Any) -> Trainer:
        """A Trainer by this recipe; options are Trainer's, and come before the recipe's."""
        optimizer = self.make_optimizer(model)
        choices: dict[str, Any] = {
            "loss": next_token_loss,
            "scheduler": LambdaLR(optimizer, self.rate),
            "schedule_by": "step",
            "accumulate": self.accumulate,
            "clip_norm": self.clip_norm,
        }
        return Trainer(model, optimizer=optimizer, **choices | options)


def _heads(width: int) -> int:
    """The most heads that a width may have; 0 for one that may have none.

    >>> [_heads(width) for width in (128, 144, 100)]
    [4, 3, 0]
    """
    fitting = (width // size for size in HEAD_SIZES if width % size == 0)
    return next(fitting, 0)


def next_token_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy of scores (N, T, vocabulary) and the ids that came (N, T), in nats."""
    return F.cross_entropy(scores.flatten(0, 1), targets.flatten())

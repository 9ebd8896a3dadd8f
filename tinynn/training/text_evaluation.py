"""How well a run's language model foretells text: that which was held back, or another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tinynn.data import TokenWindows, load_text
from tinynn.training.evaluation import evaluate
from tinynn.training.gpt import VALIDATED_AT_ONCE, VALIDATION_WINDOWS, split_tokens
from tinynn.training.recipe import RecipeError
from tinynn.training.text_recipe import next_token_loss
from tinynn.training.text_run import TextRunFolder

if TYPE_CHECKING:
    from tinynn.io.atomic import StrPath

__all__ = ["TextJudgement", "judge_text"]


class TextJudgement(NamedTuple):
    """What `judge_text` tells.

    Attributes:
        loss: the mean cross-entropy of a token, in nats.
        windows, length: how many windows of how many tokens were looked at.
        tokens: how many tokens the text has.
    """

    loss: float
    windows: int
    length: int
    tokens: int

    @property
    def perplexity(self) -> float:
        """Among how many tokens, equally probable, a guess would be as hard: exp(loss)."""
        return math.exp(self.loss) if self.loss < 700 else math.inf


def judge_text(
    folder: StrPath,
    data: StrPath | None = None,
    windows: int | None = None,
    device: str = "cpu",
) -> TextJudgement:
    """Judges the model of a finished run.

    Arguments:
        folder: of `train_gpt`.
        data: a text in UTF-8; None for the last tenth of the run's own, which was held back.
        windows: how many windows as long as the context are looked at, spread over the text; None
            for those of the training, 600 or as many as there are, which give its last loss.

    Raises RecipeError (a ValueError) for more windows than there are, ValueError for a text that is
    too short or has characters that the vocabulary lacks, and what `TextRunFolder.load` and
    `load_text` raise.
    """
    files = TextRunFolder(folder)
    run = files.load()
    if data is None:
        _, tokens = split_tokens(run.tokens)
    else:
        tokens = np.concatenate(list(run.vocabulary.encode(load_text(data))))
    model = files.load_model().to(device=device)
    length = model.config.max_positions
    judges = TokenWindows(tokens, length, windows or VALIDATION_WINDOWS, VALIDATED_AT_ONCE)
    there = (len(tokens) - 1) // length
    if windows is not None and not 1 <= windows <= there:
        raise RecipeError("subset", windows, f"1 to {there}, all windows of the text")
    loss = evaluate(model, judges, next_token_loss)["loss"]
    return TextJudgement(loss, len(judges.places), length, len(tokens))

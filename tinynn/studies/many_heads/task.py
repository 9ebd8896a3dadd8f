"""The task of the study of heads, and the network that is to solve it.

Persons stand in a row. Each has a name and a colour, and knows other persons by name, one for each
relation. Everybody is asked for the colours of all whom he or she knows: a query has to find as
many places as there are relations, wherever in the row they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinynn.autograd.tensor import Tensor
from tinynn.nn import Embedding, Linear, Module, MultiheadAttention
from tinynn.nn import functional as F
from tinynn.ops.creation import tensor
from tinynn.ops.reduction import sum

__all__ = ["READOUTS", "Batch", "Network", "Settings", "draw_batch", "expected"]

Array = np.ndarray[Any, Any]

# What turns the attention's result into answers.
READOUTS = ("linear layer", "MLP")


@dataclass(frozen=True)
class Settings:
    """How much is run."""

    persons: int = 16
    relations: int = 4
    colours: int = 8
    width: int = 64
    heads: tuple[int, ...] = (1, 2, 4, 8)
    steps: int = 500
    batch_size: int = 64
    rates: tuple[float, ...] = (0.002, 0.005)
    runs: int = 5
    test_rows: int = 256
    timed_width: int = 256
    prefill_tokens: int = 512
    decode_context: int = 4096
    timing_sets: int = 5
    timing_rounds: int = 9


class Batch(NamedTuple):
    """Rows of persons.

    names: [rows, persons], who stands where; known: [rows, persons, relations], whom each knows;
    colours: [rows, persons]; places: [rows, persons, relations], where those stand whom each knows;
    answers: their colours.
    """

    names: Array
    known: Array
    colours: Array
    places: Array
    answers: Array


def draw_batch(settings: Settings, rows: int, random: np.random.Generator) -> Batch:
    """Random rows; nobody knows the same person in two relations."""
    shape = rows, settings.persons
    names = random.random(shape).argsort(axis=1)
    known = random.random((*shape, settings.persons)).argsort(axis=2)[..., : settings.relations]
    colours = random.integers(0, settings.colours, shape)
    each = np.arange(rows)[:, None, None]
    places = names.argsort(axis=1)[each, known]
    return Batch(names, known, colours, places, colours[each, places])


def expected(settings: Settings, found: int) -> float:
    """The share of right answers of one who finds so many of the places, and guesses the rest.

    >>> expected(Settings(relations=4, colours=8), 4), expected(Settings(relations=1, colours=8), 0)
    (1.0, 0.125)
    """
    found = min(found, settings.relations)
    return (found + (settings.relations - found) / settings.colours) / settings.relations


class Network(Module):
    """Embeddings, one attention, and a readout: names, known and colours to logits [rows, persons,
    relations, colours].

    A person is the sum of the embeddings of the name, of the colour and of each known name in its
    relation. What a place passes on is linear in that, so that name and colour stay apart.
    """

    def __init__(self, settings: Settings, heads: int, readout: str) -> None:
        width = settings.width
        self.settings = settings
        self.name = Embedding(settings.persons, width)
        self.colour = Embedding(settings.colours, width)
        self.known = Embedding(settings.relations * settings.persons, width)
        self.attention = MultiheadAttention(width, heads, batch_first=True)
        self.hidden = Linear(width, 4 * width) if readout == "MLP" else None
        inner = width if self.hidden is None else 4 * width
        self.last = Linear(inner, settings.relations * settings.colours)

    def forward(self, names: Tensor, known: Tensor, colours: Tensor) -> Tensor:
        x = self.embed(names, known, colours)
        x, _ = self.attention(x, x, x, need_weights=False)
        if self.hidden is not None:
            x = F.gelu(self.hidden(x))
        sizes = self.settings.relations, self.settings.colours
        logits: Tensor = self.last(x).reshape(*names.shape, *sizes)
        return logits

    def embed(self, names: Tensor, known: Tensor, colours: Tensor) -> Tensor:
        relations, persons = self.settings.relations, self.settings.persons
        first = tensor(np.arange(relations) * persons, device=known.device)
        x: Tensor = self.name(names) + self.colour(colours) + sum(self.known(known + first), 2)
        return x

    def weights(self, names: Tensor, known: Tensor, colours: Tensor) -> Tensor:
        """The attention of each head, [rows, heads, persons, persons]."""
        x = self.embed(names, known, colours)
        weights: Tensor = self.attention(x, x, x, average_attn_weights=False)[1]
        return weights

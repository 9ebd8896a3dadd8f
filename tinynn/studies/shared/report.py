"""Numbers as words: percentages, means with their spread, tables, lists, differences."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from textwrap import fill
from typing import NamedTuple

__all__ = [
    "Difference",
    "capital",
    "counted",
    "difference",
    "enumeration",
    "mean",
    "mean_of_sets",
    "percent",
    "spread",
    "table",
    "wrapped",
]

WIDTH = 100


def mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)


def percent(value: float, digits: int = 1) -> str:
    """A share in percent.

    >>> percent(0.9817)
    '98.2%'
    """
    return f"{value:.{digits}%}"


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The mean of shares in percent, and their standard deviation where there are several.

    >>> spread([0.97, 0.98, 0.99]), spread([0.97])
    ('98.0 ± 1.0%', '97.0%')
    """
    if len(values) < 2:
        return percent(values[0], digits)
    return f"{100 * mean(values):.{digits}f} ± {100 * statistics.stdev(values):.{digits}f}%"


def capital(text: str) -> str:
    """
    >>> capital("at SGD's rate")
    "At SGD's rate"
    """
    return text[:1].upper() + text[1:]


def counted(number: int, thing: str) -> str:
    """
    >>> counted(1, "epoch"), counted(1000, "epoch")
    ('1 epoch', '1,000 epochs')
    """
    return f"{number:,} {thing}" + "s" * (number != 1)


class Difference(NamedTuple):
    """How far the means of two samples lie apart."""

    value: float
    """The first's mean less the second's."""
    error: float
    """Its standard error; NaN where a sample is too small to tell."""

    @property
    def is_clear(self) -> bool:
        """Whether the difference is more than twice its standard error."""
        return abs(self.value) > 2 * self.error


def difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """The difference of two means, with Welch's standard error.

    >>> difference([3.0, 5.0], [1.0, 1.0])
    Difference(value=3.0, error=1.0)
    """
    value = mean(first) - mean(second)
    if min(len(first), len(second)) < 2:
        return Difference(value, math.nan)
    return Difference(
        value, math.sqrt(sum(statistics.variance(v) / len(v) for v in (first, second)))
    )


def mean_of_sets(values: Sequence[float]) -> Difference:
    """The mean of what was measured in several sets, and its standard error.

    >>> mean_of_sets([3.0, 5.0])
    Difference(value=4.0, error=1.0)
    """
    if len(values) < 2:
        return Difference(values[0], math.nan)
    return Difference(mean(values), statistics.stdev(values) / math.sqrt(len(values)))


def enumeration(words: Sequence[str]) -> str:
    """Words with commas and an "and".

    >>> enumeration(["sigmoid"]), enumeration(["relu", "tanh", "elu"])
    ('sigmoid', 'relu, tanh and elu')
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that reads as plain text, too: first column left, the others right.

    >>> print(table(["width", "accuracy"], [["8", "61.0%"], ["2,048", "70.1%"]]))
    | width | accuracy |
    |:------|---------:|
    | 8     |    61.0% |
    | 2,048 |    70.1% |
    """
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    rules = [f":{'-' * (widths[0] + 1)}", *(f"{'-' * (width + 1)}:" for width in widths[1:])]
    lines = [
        " | ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (columns, *rows)
    ]
    return "\n".join([f"| {lines[0]} |", f"|{'|'.join(rules)}|", *(f"| {r} |" for r in lines[1:])])


def wrapped(text: str) -> str:
    """Markdown whose paragraphs and list items have lines of at most 100 columns.

    Tables, headings, pictures and blocks of code stay as they are.

    >>> print(wrapped("word " * 19 + "`code of several words`\\n\\n| a |"))
    word word word word word word word word word word word word word word word word word word word
    `code of several words`
    <BLANKLINE>
    | a |
    """
    return "\n\n".join(_wrapped_block(block) for block in re.split(r"\n{2,}", text.strip()))


def _wrapped_block(block: str) -> str:
    if block.startswith(("|", "#", "!", "```")):
        return block
    if block.startswith("- "):
        items = re.split(r"\n(?=- )", block)
        return "\n".join(_filled(item, "  ") for item in items)
    return _filled(block, "")


def _filled(text: str, indent: str) -> str:
    # Code stays in one piece: its spaces are hidden meanwhile.
    whole = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", "\0"), " ".join(text.split()))
    lines = fill(
        whole, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return lines.replace("\0", " ")

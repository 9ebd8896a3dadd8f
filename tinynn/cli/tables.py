"""Tables of plain text, for terminals and files alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tinynn.training.mnist import Judgement

__all__ = ["accuracy_table", "probability_bars"]

BAR_WIDTH = 40


def accuracy_table(judgement: Judgement, classes: Sequence[str]) -> str:
    """How many images of each class were recognised, and what it was most often taken for."""
    counts = judgement.confusion
    width = max(5, *map(len, classes))
    lines = [f"{'class':>{width}}  images   right  accuracy  most often taken for"]
    for index, name in enumerate(classes):
        right, images = int(counts[index, index]), int(counts[index].sum())
        share = f"{right / images:.2%}" if images else "-"
        others = np.where(np.arange(len(classes)) == index, 0, counts[index])
        mistake = f"{classes[int(others.argmax())]} ({others.max()})" if others.any() else ""
        lines.append(f"{name:>{width}}  {images:6,}  {right:6,}  {share:>8}  {mistake}".rstrip())
    total, right = int(counts.sum()), int(np.trace(counts))
    lines.append(f"{'all':>{width}}  {total:6,}  {right:6,}  {judgement.accuracy:8.2%}")
    return "\n".join(lines)


def probability_bars(probabilities: Any, classes: Sequence[str]) -> str:
    """A class's probability per line, as a bar and in percent."""
    width = max(map(len, classes))
    lines = []
    for name, probability in zip(classes, probabilities, strict=True):
        bar = "█" * round(BAR_WIDTH * float(probability))
        lines.append(f"  {name:>{width}}  {bar:<{BAR_WIDTH}}  {probability:6.1%}")
    return "\n".join(lines)

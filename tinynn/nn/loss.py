"""Losses as modules: each is the function of the same name in `functional`, with its settings.

`reduction` is "mean" (the default), "sum" or "none" everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinynn.nn import functional as F
from tinynn.nn.module import Module

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


class CrossEntropyLoss(Module):
    """-log softmax(input)[target]: from scores (N, C) and labels (N,), or probabilities (N, C).

    Arguments:
        weight: (C,), how much each class counts.
        ignore_index: a label that does not count at all.
        reduction: "mean", "sum" or "none".
        label_smoothing: the share of the target that is spread over all classes, in [0, 1].

    >>> import tinynn as tn
    >>> loss = tn.nn.CrossEntropyLoss()(tn.zeros(2, 10), tn.tensor([3, 7]))
    >>> round(loss.item(), 4)  # log(10)
    2.3026
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Module):
    """-input[target]: from log probabilities (N, C) and labels (N,)."""

    weight: Tensor | None

    def __init__(
        self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class MSELoss(Module):
    """(input - target)^2."""

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class BCEWithLogitsLoss(Module):
    """-target * log sigmoid(input) - (1 - target) * log(1 - sigmoid(input)).

    Arguments:
        weight: how much each element counts; broadcasts.
        reduction: "mean", "sum" or "none".
        pos_weight: how much the first term counts; broadcasts.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input,
            target,
            weight=self.weight,
            reduction=self.reduction,
            pos_weight=self.pos_weight,
        )

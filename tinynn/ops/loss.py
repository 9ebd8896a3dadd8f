"""Losses: how far predictions are from targets.

A `reduction` is "mean", "sum" or "none" (a loss for each sample).
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from tinynn.backend import recording
from tinynn.backend.dtypes import int64, is_floating
from tinynn.ops.activation import log_softmax, softplus
from tinynn.ops.arithmetic import add, div, mul, neg, sub
from tinynn.ops.choice import where
from tinynn.ops.comparison import ne
from tinynn.ops.conversion import to
from tinynn.ops.dims import check_tensor
from tinynn.ops.elementwise import square
from tinynn.ops.gathering import gather, index_select
from tinynn.ops.linear_algebra import check_same_dtype
from tinynn.ops.reduction import mean, sum
from tinynn.ops.registry import apply, declare_fused, public
from tinynn.ops.shape import movedim, reshape, unsqueeze

if TYPE_CHECKING:
    from tinynn.autograd import Tensor

REDUCTIONS = ("mean", "sum", "none")


def _cross_entropy_vjp(
    F: Any, g: Any, gradient: Any, *, needs: Any, into: Any, reduction: str, **attributes: Any
) -> tuple[Any, ...]:
    return gradient * (g.reshape(-1, 1) if reduction == "none" else g), None, None


def _cross_entropy_unfused(
    F: Any,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    *,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
) -> Tensor:
    log_p = log_softmax(input, 1)
    losses, shares = _label_losses(log_p, target, weight, ignore_index)
    if label_smoothing:
        each = neg(sum(log_p if weight is None else mul(log_p, weight), 1))
        each = where(ne(target, ignore_index), mul(each, label_smoothing / input.shape[1]), 0.0)
        losses = add(mul(losses, 1 - label_smoothing), each)
    return _weighted(losses, shares, reduction)


CROSS_ENTROPY = declare_fused(
    "cross_entropy",
    "softmax_cross_entropy",
    vjp=_cross_entropy_vjp,
    unfused=_cross_entropy_unfused,
)


@public
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input)[target]: the cross-entropy of logits and the right classes.

    Arguments:
        input: logits, (C,), (N, C) or (N, C, d1, d2, ...).
        target: classes 0 to C - 1 as integers, of the input's shape without C; or probabilities, in
            the input's shape.
        weight: (C,), how much each class counts; the "mean" over labels is then a weighted one.
        ignore_index: a class whose samples do not count; for integer targets.
        label_smoothing: the part of each target, 0 to 1, that is spread evenly over all classes
            (https://arxiv.org/abs/1512.00567).

    Raises IndexError for a class out of range, ValueError for shapes that do not fit, RuntimeError
    for dtypes that do not.

    >>> import tinynn as tn
    >>> logits = tn.tensor([[2.0, 0.0], [0.0, 0.0]])
    >>> tn.nn.functional.cross_entropy(logits, tn.tensor([0, 1]), reduction="none")
    tensor([0.1269, 0.6931])
    """
    _check("cross_entropy", input, target, weight, reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(
            f"cross_entropy: label_smoothing must be between 0 and 1, got {label_smoothing}"
        )
    if is_floating(target.data.dtype):
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    rows, labels = _rows("cross_entropy", input, target, weight)
    loss = apply(
        CROSS_ENTROPY,
        (rows, labels, weight),
        {
            "ignore_index": ignore_index,
            "label_smoothing": label_smoothing,
            "reduction": reduction,
        },
    )
    return loss if reduction != "none" or target.ndim == 1 else reshape(loss, target.shape)


@public
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """-input[target]: the negative log-likelihood of log-probabilities and the right classes.

    Arguments:
        input: log-probabilities, (C,), (N, C) or (N, C, d1, d2, ...).
        target: classes 0 to C - 1 as integers, of the input's shape without C.
        weight: (C,), how much each class counts; the "mean" is then a weighted one.
        ignore_index: a class whose samples do not count.

    Raises IndexError for a class out of range, ValueError for shapes that do not fit, RuntimeError
    for dtypes that do not.

    >>> import tinynn as tn
    >>> log_p = tn.log_softmax(tn.tensor([[2.0, 0.0], [0.0, 0.0]]), dim=1)
    >>> tn.nn.functional.nll_loss(log_p, tn.tensor([0, 1]), reduction="sum")
    tensor(0.8201)
    """
    _check("nll_loss", input, target, weight, reduction)
    rows, labels = _rows("nll_loss", input, target, weight)
    recording.checked(_check_range, "nll_loss", labels.data, rows.shape[1], ignore_index)
    loss = _weighted(*_label_losses(rows, labels, weight, ignore_index), reduction)
    return loss if reduction != "none" or target.ndim == 1 else reshape(loss, target.shape)


@public
def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """(input - target)^2, of tensors of one shape; others are broadcast, with a warning.

    >>> import tinynn as tn
    >>> tn.nn.functional.mse_loss(tn.tensor([1.0, 2.0]), tn.tensor([1.0, 4.0]))
    tensor(2.)
    """
    _check("mse_loss", input, target, None, reduction)
    if input.data.shape != target.data.shape:
        if not _can_broadcast(input.data.shape, target.data.shape):
            raise RuntimeError(
                f"mse_loss: input of shape {input.shape} and target of shape {target.shape} do not "
                "fit; give them one shape"
            )
        warnings.warn(
            f"mse_loss: input of shape {input.shape} and target of shape {target.shape} are "
            "broadcast, which is rarely meant; give them one shape",
            stacklevel=2,
        )
    return _reduced(square(sub(input, target)), reduction)


@public
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-target log p - (1 - target) log(1 - p) with p = sigmoid(input), also for large inputs.

    Arguments:
        input, target: one shape; targets are probabilities, 0 to 1.
        weight: how much each element counts; broadcast.
        pos_weight: how much the first term counts; broadcast, so that (C,) is one number a class.

    Raises ValueError if the shapes of input and target differ.

    >>> import tinynn as tn
    >>> logits, target = tn.tensor([0.0, 2.0]), tn.tensor([1.0, 0.0])
    >>> tn.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    tensor([0.6931, 2.1269])
    """
    name = "binary_cross_entropy_with_logits"
    _check(name, input, target, None, reduction)
    if input.data.shape != target.data.shape:
        raise ValueError(
            f"{name}: input and target must have one shape, got {input.shape} and {target.shape}"
        )
    opposite = softplus(neg(input), threshold=math.inf)  # -log p
    if pos_weight is not None:
        opposite = mul(opposite, add(mul(sub(pos_weight, 1), target), 1))
    losses = add(mul(sub(1, target), input), opposite)
    return _reduced(losses if weight is None else mul(losses, weight), reduction)


def _soft_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """Cross-entropy with a probability for each class."""
    if target.data.shape != input.data.shape:
        raise ValueError(
            "cross_entropy: a target of floats holds a probability for each class, in the shape of "
            f"input, {input.shape}; got {target.shape} {target.dtype} (classes are integers)"
        )
    dim = min(1, input.ndim - 1)
    classes = input.shape[dim]
    if label_smoothing:
        target = add(mul(target, 1 - label_smoothing), label_smoothing / classes)
    losses = mul(log_softmax(input, dim), target)
    if weight is not None:
        losses = mul(losses, reshape(weight, (classes, *(1,) * (input.ndim - dim - 1))))
    losses = neg(sum(losses, dim))
    return _reduced(losses, reduction)


def _label_losses(
    log_p: Tensor, labels: Tensor, weight: Tensor | None, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """For each row of (N, C) the weighted -log p of its label, and its weight, 0 if ignored."""
    counts = ne(labels, ignore_index)
    labels = where(counts, labels, 0)
    losses = neg(reshape(gather(log_p, 1, unsqueeze(labels, 1)), labels.shape))
    if weight is None:
        return where(counts, losses, 0.0), to(counts, dtype=log_p.dtype)
    shares = index_select(weight, 0, labels)
    return where(counts, mul(losses, shares), 0.0), where(counts, shares, 0.0)


def _weighted(losses: Tensor, shares: Tensor, reduction: str) -> Tensor:
    """Weighted losses reduced, to the weighted mean where the mean is wanted."""
    return div(sum(losses), sum(shares)) if reduction == "mean" else _reduced(losses, reduction)


def _can_broadcast(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    pairs = zip(reversed(first), reversed(second), strict=False)
    return all(one == other or 1 in (one, other) for one, other in pairs)


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    return mean(losses) if reduction == "mean" else sum(losses)


def _check(name: str, input: Tensor, target: Tensor, weight: Tensor | None, reduction: str) -> None:
    """What every loss asks of its arguments."""
    check_tensor(name, input)
    check_tensor(name, target, "target")
    if reduction not in REDUCTIONS:
        raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    if weight is not None:
        check_tensor(name, weight, "weight")
        classes = input.shape[min(1, input.ndim - 1)] if input.ndim else 0
        if weight.shape != (classes,):
            raise RuntimeError(
                f"{name}: weight must have a number for each of {classes} classes, its shape is "
                f"{weight.shape}"
            )
        if weight.requires_grad:
            raise RuntimeError(f"{name}: weight has no gradient; use weight.detach()")
        check_same_dtype(name, input=input, weight=weight)


def _rows(name: str, input: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Input as (N, C), and target as (N,) of int64."""
    shape, labels_shape = input.data.shape, target.data.shape
    if not shape or not is_floating(input.data.dtype):
        raise RuntimeError(
            f"{name}: input must be floats of at least one dimension, the classes; got "
            f"{input.dtype} of shape {shape}"
        )
    if target.data.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: target must be integers, the classes; got {target.dtype}")
    expected = shape[:1] + shape[2:] if len(shape) > 1 else ()
    if labels_shape != expected:
        raise ValueError(
            f"{name}: input of shape {shape} needs a target of shape {expected}, got {labels_shape}"
        )
    if target.data.dtype != int64:
        target = to(target, dtype=int64)
    if len(shape) == 2:
        return input, target
    if len(shape) > 2:
        input = movedim(input, 1, -1)
    return reshape(input, (math.prod(expected), input.shape[-1])), reshape(target, (-1,))


def _check_range(name: str, values: Any, classes: int, ignore_index: int) -> None:
    """IndexError for the first label that is no class."""
    bad = (values != ignore_index) & ((values < 0) | (values >= classes))
    if bool(bad.any()):
        place = int(bad.argmax())
        raise IndexError(
            f"{name}: target[{place}] is {int(values[place])}, but input has {classes} classes "
            f"(0 to {classes - 1})"
        )

"""Samples of losses."""

from __future__ import annotations

import numpy as np
import scipy.special

from tests.opinfo.info import OpInfo, refuse, sample

# Shapes of the input, the classes being the second dimension where there is one.
INPUTS = ((4, 3), (1, 1), (3,), (2, 3, 4), (2, 3, 2, 2))


def labels_for(make, shape):
    if len(shape) == 1:
        return make.indices(below=shape[0])
    return make.indices(shape[0], *shape[2:], below=shape[1])


def labelled(make, **keywords):
    """Inputs with labels, every reduction, weights and ignored samples."""
    for shape in INPUTS:
        yield sample(make(*shape), labels_for(make, shape), **keywords)
    for reduction in ("mean", "sum", "none"):
        reduced = {"reduction": reduction, **keywords}
        for shape in ((4, 3), (3,), (2, 3, 4)):
            weight = make(3, low=0.5, high=2)
            yield sample(make(*shape), labels_for(make, shape), weight=weight, **reduced)
        yield sample(make(4, 3), np.array([2, -100, 1, 0]), **reduced)
        weight = make(3, low=0.5, high=2)
        yield sample(make(4, 3), np.array([1, 1, 2, 0]), weight=weight, ignore_index=1, **reduced)
    yield sample(make(4, 3), make.indices(4, below=3).astype(np.uint8), **keywords)
    yield sample(make(0, 3), make.indices(0, below=3), reduction="sum", **keywords)
    yield sample(make(2, 3, 0), make.indices(2, 0, below=3), reduction="none", **keywords)


def cross_entropy_samples(make):
    yield from labelled(make)
    yield from labelled(make, label_smoothing=0.1)
    for shape in INPUTS:
        yield sample(make(*shape), make(*shape, low=0, high=1))
    for reduction in ("mean", "sum", "none"):
        yield sample(
            make(2, 3, 4),
            make(2, 3, 4, low=0, high=1),
            weight=make(3, low=0.5, high=2),
            reduction=reduction,
            label_smoothing=0.2,
        )


def reduced(losses, reduction, count):
    return losses if reduction == "none" else losses.sum() / (count if reduction == "mean" else 1)


def cross_entropy(
    input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    """The sum over classes of -share * log p, the shares being probabilities times weights."""
    dim = min(1, input.ndim - 1)
    classes = input.shape[dim]
    log_p = scipy.special.log_softmax(input, axis=dim) if input.size else input
    each = (np.ones(classes) if weight is None else weight).reshape(
        classes, *(1,) * (input.ndim - dim - 1)
    )
    if target.shape == input.shape and target.dtype.kind == "f":
        shares, count = target, input.size / classes
    else:
        counts = target != ignore_index
        one_hot = np.moveaxis(np.eye(classes)[np.where(counts, target, 0)], -1, dim)
        shares = one_hot * np.expand_dims(counts, dim)
        count = (shares * each).sum()
        each = each * np.expand_dims(counts, dim)
    shares = (1 - label_smoothing) * shares + label_smoothing / classes
    return reduced(-(shares * each * log_p).sum(dim), reduction, count)


def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    dim = min(1, input.ndim - 1)
    weight = np.ones(input.shape[dim]) if weight is None else weight
    losses, count = np.zeros(target.shape), 0.0
    for place, label in np.ndenumerate(target):
        if label != ignore_index:
            at = (*place[:dim], label, *place[dim:])
            losses[place] = -weight[label] * input[at]
            count += weight[label]
    return reduced(losses, reduction, count)


def labelled_refused(make):
    x, labels = make(4, 3), np.array([0, 1, 2, 0])
    yield refuse(IndexError, x, np.array([0, 1, 3, 5]), says=r"target\[2\] is 3.*3 classes")
    yield refuse(IndexError, x, np.array([0, -1, 3, 5]), says=r"target\[1\] is -1.*0 to 2")
    yield refuse(ValueError, x, labels[:3], says=r"\(4, 3\).*\(4,\), got \(3,\)")
    yield refuse(ValueError, make(3), labels, says=r"\(3,\).*\(\), got \(4,\)")
    yield refuse(ValueError, x, labels, reduction="average", says="'mean'.*'average'")
    yield refuse(RuntimeError, x, labels, make(4), says=r"weight.*3 classes.*\(4,\)")
    yield refuse(RuntimeError, x, labels, make(3, dtype="float64"), says="weight float64")
    yield refuse(RuntimeError, make(4, 3, dtype="int64"), labels, says="floats.*int64")
    yield refuse(RuntimeError, x, labels > 0, says="integers.*bool")
    yield refuse(TypeError, x, [0, 1, 2, 0], says="target.*list")


def cross_entropy_refused(make):
    yield from labelled_refused(make)
    yield refuse(ValueError, make(4, 3), make(4), says=r"probability.*\(4, 3\).*\(4,\) float32")
    yield refuse(RuntimeError, make(2, 3), np.array([0, 1]), label_smoothing=2.0, says="2.0")


def nll_refused(make):
    yield from labelled_refused(make)
    yield refuse(RuntimeError, make(4, 3), make(4), says="integers.*float32")


def mse_samples(make):
    for shape in ((3, 4), (), (1,), (2, 0)):
        yield sample(make(*shape), make(*shape), reduction="sum")
    for reduction in ("mean", "none"):
        yield sample(make(2, 3), make(2, 3), reduction=reduction)
    yield sample(make(2, 3), make(2, 3))


def binary_samples(make):
    for shape in ((3, 4), (), (1,), (2, 3, 2)):
        yield sample(make(*shape), make(*shape, low=0, high=1))
    for reduction in ("mean", "sum", "none"):
        yield sample(
            make(3, 4),
            make(3, 4, low=0, high=1),
            reduction=reduction,
            weight=make(3, 1, low=0.5, high=2),
            pos_weight=make(4, low=0.5, high=2),
        )
    yield sample(make(3, 4, low=-40, high=40), make(3, 4, low=0, high=1), reduction="sum")
    yield sample(make(0, 3), make(0, 3), reduction="sum")


def binary_cross_entropy(input, target, weight=None, reduction="mean", pos_weight=1.0):
    losses = -pos_weight * target * scipy.special.log_expit(input)
    losses = losses - (1 - target) * scipy.special.log_expit(-input)
    losses = losses if weight is None else losses * weight
    return reduced(losses, reduction, losses.size)


def shapes_refused(make):
    yield refuse(ValueError, make(2, 3), make(3), says=r"\(2, 3\) and \(3,\)")
    yield refuse(ValueError, make(2), make(2), reduction="all", says="'all'")
    yield refuse(TypeError, make(2), 1.0, says="target.*float")


INFOS = [
    OpInfo(
        "cross_entropy",
        samples=cross_entropy_samples,
        reference=cross_entropy,
        refused=cross_entropy_refused,
        constants=("weight",),
        torch="nn.functional.cross_entropy",
    ),
    OpInfo(
        "nll_loss",
        samples=labelled,
        reference=nll_loss,
        refused=nll_refused,
        constants=("weight",),
        torch="nn.functional.nll_loss",
    ),
    OpInfo(
        "mse_loss",
        samples=mse_samples,
        reference=lambda input, target, reduction="mean": reduced(
            (input - target) ** 2, reduction, input.size
        ),
        refused=lambda make: [
            refuse(ValueError, make(2), make(2), reduction="all", says="'all'"),
            refuse(TypeError, make(2), 1.0, says="target.*float"),
        ],
        mixed=True,
        torch="nn.functional.mse_loss",
    ),
    OpInfo(
        "binary_cross_entropy_with_logits",
        samples=binary_samples,
        reference=binary_cross_entropy,
        refused=shapes_refused,
        constants=("weight", "pos_weight"),
        torch="nn.functional.binary_cross_entropy_with_logits",
    ),
]

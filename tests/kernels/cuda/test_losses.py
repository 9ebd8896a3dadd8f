"""Softmax cross-entropy agrees with the reference, and refuses what is no class."""

import itertools

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import DTYPES, assert_cuda_agrees, launcher_of, numbers

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

NAME = "softmax_cross_entropy"
SIZES = [(1, 2), (17, 7), (5, 16), (2, 1031), (3, 1024)]
OPTIONS = list(itertools.product([False, True], [-100, 0], [0.0, 0.1], ["mean", "sum", "none"]))


def arguments(rows, classes, dtype, weighted):
    rng = np.random.default_rng(0)
    logits = (3 * rng.standard_normal((rows, classes))).astype(numbers(1, dtype=dtype).dtype)
    weight = (0.1 + rng.random(classes)).astype(logits.dtype) if weighted else None
    return logits, rng.integers(0, classes, rows), weight


def reduced():
    given = arguments(2, 1031, "float32", True)
    assert_cuda_agrees(NAME, *given, factor=4, label_smoothing=0.1)
    try:
        launcher_of(NAME)(given[0], given[1] + 1031, given[2])
    except IndexError:
        return
    raise AssertionError("targets that are no classes were taken")


FAULTS = [
    Fault(
        "no barrier before bad targets are looked for",
        "first_bad = ~0ull;\n  __syncthreads();",
        "first_bad = ~0ull;",
        "thread",
    ),
]


# Every combination in float32, and every value of each option in the others.
CASES = [("float32", *option) for option in OPTIONS]
CASES += [(dtype, *option) for dtype in DTYPES[1:] for option in OPTIONS[::5]]


@pytest.mark.parametrize(("dtype", "weighted", "ignore_index", "smoothing", "reduction"), CASES)
def test_agrees(dtype, weighted, ignore_index, smoothing, reduction):
    for rows, classes in SIZES:
        assert_cuda_agrees(
            NAME,
            *arguments(rows, classes, dtype, weighted),
            factor=4,
            ignore_index=ignore_index,
            label_smoothing=smoothing,
            reduction=reduction,
        )


def test_every_target_ignored():
    logits, target, weight = arguments(4, 9, "float32", True)
    for reduction in ("mean", "sum", "none"):
        loss, gradient = launcher_of(NAME)(logits, target * 0 - 100, weight, reduction=reduction)
        expected = {"mean": np.nan, "sum": 0.0, "none": np.zeros(4)}[reduction]
        np.testing.assert_array_equal(loss, expected)
        np.testing.assert_array_equal(gradient, 0)


def test_extreme_logits():
    logits, target, _ = arguments(4, 9, "float32", False)
    logits[0, 0], logits[1], logits[2, 3] = 1e38, -1e38, -np.inf
    target[:] = [1, 2, 3, 4]
    assert_cuda_agrees(NAME, logits, target, None, factor=4)


@pytest.mark.parametrize("bad", [-1, 7, 2**40])
def test_a_target_that_is_no_class(bad):
    logits, target, _ = arguments(5, 7, "float32", False)
    target[[2, 4]] = bad
    message = f"target\\[2\\] is {bad}, but the logits have 7 classes \\(0 to 6\\)"
    with pytest.raises(IndexError, match=message):
        launcher_of(NAME)(logits, target, None)


def test_targets_of_32_bits():
    logits, target, _ = arguments(5, 7, "float32", False)
    loss, _ = launcher_of(NAME)(logits, target.astype(np.int32), None)
    assert loss == launcher_of(NAME)(logits, target, None)[0]


def test_what_is_not_taken():
    logits, target, _ = arguments(5, 8, "float32", False)
    assert launcher_of(NAME)(logits[:, ::2], target, None) is NotImplemented
    assert launcher_of(NAME)(logits[:0], target[:0], None) is NotImplemented

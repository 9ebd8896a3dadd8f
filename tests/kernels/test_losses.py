"""Softmax cross-entropy: the kernel against the reference, and both against formulas."""

import itertools

import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, assert_kernel_agrees, kernel_of, run_both
from tinynn.backend.kernel_table import reference_of

NAME = "softmax_cross_entropy"
FUNCTIONS = [kernel_of(NAME), reference_of(NAME)]
SIZES = [(0, 3), (1, 2), (3, 10), (17, 7), (2, 1031)]


def formula(logits, target, weight, ignore_index, smoothing, reduction):
    """Row by row, with Python's floats."""
    losses, weights = [], 0.0
    for row, label in zip(logits.tolist(), target.tolist(), strict=True):
        if label == ignore_index:
            losses.append(0.0)
            continue
        top = max(row)
        log_sum = top + np.log(sum(np.exp(value - top) for value in row))
        nll = [w * (log_sum - value) for w, value in zip(weight, row, strict=True)]
        losses.append((1 - smoothing) * nll[label] + smoothing * sum(nll) / len(row))
        weights += weight[label]
    return {"none": losses, "sum": sum(losses), "mean": sum(losses) / (weights or np.nan)}[
        reduction
    ]


OPTIONS = list(itertools.product([False, True], [-100, 0], [0.0, 0.1], ["mean", "sum", "none"]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("weighted", "ignore_index", "smoothing", "reduction"), OPTIONS)
def test_kernel_agrees_with_reference(weighted, ignore_index, smoothing, reduction, dtype):
    rng = np.random.default_rng(0)
    for rows, classes in SIZES:
        logits = (3 * rng.standard_normal((rows, classes))).astype(dtype)
        target = rng.integers(0, classes, rows)
        weight = (0.1 + rng.random(classes)).astype(dtype) if weighted else None
        assert_kernel_agrees(
            NAME,
            logits,
            target,
            weight,
            factor=4,
            ignore_index=ignore_index,
            label_smoothing=smoothing,
            reduction=reduction,
        )


@pytest.mark.parametrize("function", FUNCTIONS, ids=["kernel", "reference"])
@pytest.mark.parametrize(("weighted", "ignore_index", "smoothing", "reduction"), OPTIONS)
def test_loss_is_its_formula_and_gradient_its_derivative(
    weighted, ignore_index, smoothing, reduction, function
):
    rng = np.random.default_rng(1)
    logits, target = rng.standard_normal((4, 3)), np.array([2, 0, 1, 1])
    weight = np.array([0.5, 2.0, 1.0])
    options = (ignore_index, smoothing, reduction)
    loss, gradient = function(
        logits,
        target,
        weight if weighted else None,
        ignore_index=ignore_index,
        label_smoothing=smoothing,
        reduction=reduction,
    )
    weights = weight if weighted else np.ones(3)
    np.testing.assert_allclose(loss, formula(logits, target, weights, *options), rtol=1e-13)
    step = 1e-6
    for place in np.ndindex(4, 3):
        above, below = logits.copy(), logits.copy()
        above[place] += step
        below[place] -= step
        slope = np.sum(formula(above, target, weights, *options)) - np.sum(
            formula(below, target, weights, *options)
        )
        np.testing.assert_allclose(gradient[place], slope / (2 * step), atol=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_logits_are_exact(dtype):
    logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [-np.inf, 0, 0]], dtype)
    target = np.array([0, 0, 2])
    for function in FUNCTIONS:
        losses, gradient = run_quietly(function, logits, target, reduction="none")
        exact = [0.0, 2e4 + np.log(2), np.log(2)]
        np.testing.assert_allclose(losses, exact, rtol=1e-6)
        np.testing.assert_allclose(gradient, [[0, 0, 0], [-1, 0.5, 0.5], [0, 0.5, -0.5]], atol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf])
def test_nan_and_infinity_are_seen_in_their_row_alone(bad, dtype):
    logits = np.zeros((3, 5), dtype)
    logits[1, 3] = bad
    for function in FUNCTIONS:
        losses, gradient = run_quietly(function, logits, np.array([0, 1, 2]), reduction="none")
        np.testing.assert_array_equal(np.isnan(losses), [False, True, False])
        np.testing.assert_array_equal(np.isnan(gradient).any(axis=1), [False, True, False])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_single_class_costs_nothing(dtype):
    logits, target = np.linspace(-9, 9, 5, dtype=dtype)[:, None], np.zeros(5, np.int64)
    for function in FUNCTIONS:
        for smoothing in (0.0, 0.1):
            loss, gradient = function(logits, target, None, label_smoothing=smoothing)
            assert loss == 0
            np.testing.assert_allclose(gradient, np.zeros((5, 1)), atol=1e-8)


def test_no_classes_leave_no_room_for_a_label():
    logits = np.zeros((2, 0), np.float32)
    for function in FUNCTIONS:
        with pytest.raises(IndexError, match="0 classes"):
            function(logits, np.array([0, 0]), None)
        loss, gradient = run_quietly(function, logits, np.array([-100, -100]))
        assert np.isnan(loss)
        assert gradient.shape == (2, 0)


def test_a_label_without_probability_costs_infinity():
    logits = np.array([[-np.inf, 0.0]], np.float32)
    for function in FUNCTIONS:
        assert run_quietly(function, logits, np.array([0]))[0] == np.inf


def test_mean_of_nothing_is_nan_with_a_gradient_of_zero():
    logits = np.ones((2, 3), np.float32)
    for function in FUNCTIONS:
        loss, gradient = run_quietly(function, logits, np.array([-100, -100]))
        assert np.isnan(loss)
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("label", [-1, 3, 2**40])
def test_label_out_of_range(label):
    logits, target = np.zeros((3, 3), np.float32), np.array([0, 2, label])
    for function in FUNCTIONS:
        with pytest.raises(IndexError, match=rf"target\[2\] is {label}.* 3 classes \(0 to 2\)"):
            function(logits, target, None)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_labels_of_any_integer_dtype(dtype):
    logits, target = np.eye(3, dtype=np.float32), np.array([0, 2, 1], dtype)
    assert_kernel_agrees(NAME, logits, target, None, ignore_index=1)


def test_large_rows_lose_no_digits():
    """50,000 classes: a plain float32 sum would have an error of 1e-4."""
    rng = np.random.default_rng(0)
    logits = (3 * rng.standard_normal((4, 50_000))).astype(np.float32)
    target = rng.integers(0, 50_000, 4)
    (loss, gradient), _ = run_both(NAME, logits, target, None)
    exact_loss, exact = reference_of(NAME)(logits.astype(np.float64), target, None)
    np.testing.assert_allclose(loss, exact_loss, rtol=3e-7)
    np.testing.assert_allclose(gradient, exact, rtol=3e-6)


@pytest.mark.parametrize(("weighted", "ignore_index", "smoothing", "reduction"), OPTIONS)
def test_agrees_with_torch(weighted, ignore_index, smoothing, reduction):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    logits, target = rng.standard_normal((6, 5)), rng.integers(0, 5, 6)
    weight = rng.random(5) if weighted else None
    x = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        x,
        torch.tensor(target),
        None if weight is None else torch.tensor(weight),
        ignore_index=ignore_index,
        label_smoothing=smoothing,
        reduction=reduction,
    )
    expected.sum().backward()
    for function in FUNCTIONS:
        loss, gradient = function(
            logits,
            target,
            weight,
            ignore_index=ignore_index,
            label_smoothing=smoothing,
            reduction=reduction,
        )
        np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-11, atol=1e-14)


def run_quietly(function, logits, target, **attributes):
    with np.errstate(all="ignore"):
        return function(logits, target, None, **attributes)

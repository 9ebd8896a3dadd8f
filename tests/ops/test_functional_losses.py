"""Losses beyond their samples: extreme logits, ignored labels, second derivatives, memory."""

import math

import numpy as np
import pytest

import tinynn as tn
import tinynn.nn.functional as F
from tinynn.ops.loss import CROSS_ENTROPY

FLOAT64 = {"rtol": 1e-12, "atol": 1e-13}


def leaf(*shape, seed=0, dtype="float64"):
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return tn.Tensor(np.asarray(values), requires_grad=True)


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_cross_entropy_of_extreme_logits_is_finite(device, dtype):
    logits = tn.tensor([[6e4, -6e4, 0], [0, 6e4, 6e4]], dtype=dtype, device=device)
    logits.requires_grad_()
    loss = F.cross_entropy(logits, tn.tensor([0, 0], device=device), reduction="none")
    assert loss.tolist() == [0.0, pytest.approx(6e4, rel=1e-3)]
    loss.sum().backward()
    expected = [[0.0, 0.0, 0.0], [-1.0, 0.5, 0.5]]
    np.testing.assert_allclose(logits.grad.tolist(), expected, atol=1e-6)


def test_cross_entropy_of_an_impossible_class_is_infinite():
    logits = tn.tensor([[0.0, -math.inf]], requires_grad=True)
    assert F.cross_entropy(logits, tn.tensor([1])).item() == math.inf
    assert F.cross_entropy(logits, tn.tensor([0])).item() == 0.0


def test_the_gradient_of_cross_entropy_is_softmax_minus_one_hot():
    logits = leaf(6, 4)
    labels = np.array([0, 3, 2, 2, 1, 0])
    F.cross_entropy(logits, tn.tensor(labels)).backward()
    expected = (softmax(logits.data) - np.eye(4)[labels]) / 6
    np.testing.assert_allclose(logits.grad.data, expected, **FLOAT64)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_an_ignored_sample_changes_nothing(reduction, smoothing):
    weight = tn.tensor([0.5, 1.0, 2.0], dtype="float64")
    options = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    logits = leaf(5, 3)
    kept = [0, 2, 4]
    loss = F.cross_entropy(logits, tn.tensor([1, -100, 0, -100, 2]), **options)
    alone = F.cross_entropy(tn.Tensor(logits.data[kept]), tn.tensor([1, 0, 2]), **options)
    expected = np.zeros(5) if reduction == "none" else alone.data
    if reduction == "none":
        expected[kept] = alone.data
    np.testing.assert_allclose(loss.data, expected, **FLOAT64)
    loss.sum().backward()
    assert not logits.grad.data[[1, 3]].any()
    assert logits.grad.data[kept].all()


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_the_mean_of_no_samples_is_nan(loss):
    everything_ignored = loss(leaf(2, 3), tn.tensor([-100, -100]))
    nothing = loss(leaf(0, 3), tn.tensor(np.zeros(0, np.int64)))
    assert math.isnan(everything_ignored.item())
    assert math.isnan(nothing.item())


def test_label_smoothing_is_cross_entropy_with_smoothed_probabilities():
    logits, labels, smoothing = leaf(4, 5), np.array([0, 4, 2, 1]), 0.2
    probabilities = np.eye(5)[labels] * (1 - smoothing) + smoothing / 5
    hard = F.cross_entropy(logits, tn.tensor(labels), label_smoothing=smoothing)
    soft = F.cross_entropy(logits, tn.Tensor(probabilities))
    assert hard.item() == pytest.approx(soft.item(), rel=1e-12)


def test_cross_entropy_is_nll_loss_of_log_softmax():
    logits, labels = leaf(2, 3, 4), tn.tensor([[0, 1, 2, 0], [2, 2, -100, 1]])
    weight = tn.tensor([0.3, 1.0, 2.0], dtype="float64")
    fused = F.cross_entropy(logits, labels, weight)
    composed = F.nll_loss(F.log_softmax(logits, 1), labels, weight)
    assert fused.item() == pytest.approx(composed.item(), rel=1e-12)
    (first,) = tn.grad(fused, logits)
    (second,) = tn.grad(composed, logits)
    np.testing.assert_allclose(first.data, second.data, **FLOAT64)


def test_a_label_out_of_range_is_named_with_its_place(device):
    logits = tn.zeros(3, 4, device=device)
    labels = tn.tensor([1, 4, -7], device=device)
    for loss in (F.cross_entropy, F.nll_loss):
        with pytest.raises(IndexError, match=r"target\[1\] is 4.*4 classes \(0 to 3\)"):
            loss(logits, labels)
        with pytest.raises(IndexError, match=r"target\[2\] is -7"):
            loss(logits, labels, ignore_index=4)


def test_a_weight_with_a_gradient_is_refused():
    with pytest.raises(RuntimeError, match="weight has no gradient"):
        F.cross_entropy(leaf(2, 3), tn.tensor([0, 1]), leaf(3))


def test_the_hessian_of_cross_entropy_is_that_of_softmax():
    """The Hessian is diag(p) - p p^T for one sample, whatever the label."""
    logits = leaf(1, 4)
    loss = F.cross_entropy(logits, tn.tensor([2]))
    assert loss.node.operation is CROSS_ENTROPY
    (gradient,) = tn.grad(loss, logits, create_graph=True)
    rows = [
        tn.grad(gradient, logits, tn.Tensor(row.reshape(1, 4)), retain_graph=True)[0].data[0]
        for row in np.eye(4)
    ]
    p = softmax(logits.data)[0]
    np.testing.assert_allclose(rows, np.diag(p) - np.outer(p, p), **FLOAT64)


def test_the_targets_of_cross_entropy_may_have_gradients():
    logits, target = leaf(2, 3), leaf(2, 3, seed=1)
    F.cross_entropy(logits, target, reduction="sum").backward()
    np.testing.assert_allclose(target.grad.data, -np.log(softmax(logits.data)), **FLOAT64)


def test_mse_loss_warns_where_it_broadcasts():
    with pytest.warns(UserWarning, match=r"mse_loss.*\(3, 1\).*\(3,\)"):
        loss = F.mse_loss(tn.zeros(3, 1), tn.ones(3), reduction="none")
    assert loss.shape == (3, 3)


def test_mse_loss_names_itself_and_shapes_that_cannot_be_broadcast():
    with pytest.raises(RuntimeError, match=r"mse_loss: .*\(3, 4\).*\(5,\)"):
        F.mse_loss(tn.zeros(3, 4), tn.ones(5))


def test_binary_cross_entropy_at_zero_and_far_from_it():
    logits = tn.tensor([0.0, 1e4, -1e4, 1e4], dtype="float64", requires_grad=True)
    target = tn.tensor([1.0, 1.0, 0.0, 0.0], dtype="float64")
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    np.testing.assert_allclose(losses.data, [math.log(2), 0, 0, 1e4], **FLOAT64)
    (slope,) = tn.grad(losses.sum(), logits, create_graph=True)
    np.testing.assert_allclose(slope.data, [-0.5, 0, 0, 1], **FLOAT64)
    (curvature,) = tn.grad(slope.sum(), logits)
    np.testing.assert_allclose(curvature.data, [0.25, 0, 0, 0], **FLOAT64)

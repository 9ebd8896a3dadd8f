"""The fused linear layer beyond its samples: second derivatives, gradients in place, embedding."""

import numpy as np
import pytest

import tinynn as tn
import tinynn.nn.functional as F

FLOAT64 = {"rtol": 1e-11, "atol": 1e-12}
ACTIVATIONS = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
}


def layer(rows=(6,), features=5, outputs=4, dtype="float64"):
    random = np.random.default_rng(0)
    shapes = ((*rows, features), (outputs, features), (outputs,))
    return [
        tn.Tensor(random.standard_normal(shape).astype(dtype), requires_grad=True)
        for shape in shapes
    ]


def composed(input, weight, bias, activation):
    return ACTIVATIONS[activation](tn.matmul(input, weight.T) + bias)


def second(function, leaves):
    """Gradients of the squared norm of the gradients, which need every second derivative."""
    first = tn.grad(function(*leaves).square().sum(), leaves, create_graph=True)
    return tn.grad(sum(part.square().sum() for part in first), leaves)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_second_derivatives_are_those_of_the_parts(activation):
    leaves = layer(rows=(2, 3))
    fused = second(lambda *args: F.linear_activation(*args, activation), leaves)
    parts = second(lambda *args: composed(*args, activation), leaves)
    for actual, expected in zip(fused, parts, strict=True):
        np.testing.assert_allclose(actual.data, expected.data, **FLOAT64)


def test_second_derivatives_of_linear():
    leaves = layer()
    fused = second(F.linear, leaves)
    parts = second(lambda x, w, b: tn.matmul(x, w.T) + b, leaves)
    for actual, expected in zip(fused, parts, strict=True):
        np.testing.assert_allclose(actual.data, expected.data, **FLOAT64)


@pytest.mark.parametrize("function", [F.linear, F.linear_activation])
@pytest.mark.parametrize("rows", [(6,), (2, 3), ()])
def test_a_weight_gradient_is_written_into_its_slot(device, function, rows):
    arguments = [
        tn.tensor(leaf, device=device, requires_grad=True) for leaf in layer(rows, dtype="float32")
    ]
    function(*arguments).sum().backward()
    expected = [leaf.grad.to("cpu").data for leaf in arguments]
    for leaf in arguments:
        leaf.grad = None
    slot = tn.ops.zeros_like(arguments[1].detach()).data
    arguments[1].node.slot = slot
    function(*arguments).sum().backward()
    assert arguments[1].grad.data is slot
    for leaf, gradient in zip(arguments, expected, strict=True):
        np.testing.assert_allclose(leaf.grad.to("cpu").data, gradient, rtol=1e-6)


def test_a_weight_used_twice_gets_both_gradients_in_its_slot():
    _, weight, _ = layer(features=4, dtype="float32")
    input = tn.ones(3, 4)
    slot = np.full((4, 4), np.nan, np.float32)
    weight.node.slot = slot
    F.linear(F.linear(input, weight), weight).sum().backward()
    w, ones = weight.data, np.ones((3, 4))
    expected = ones.T @ (ones @ w.T) + (ones @ w).T @ ones
    assert weight.grad.data is slot
    np.testing.assert_allclose(slot, expected, rtol=1e-5)


def test_only_wanted_gradients_are_computed():
    input, weight, bias = layer()
    for frozen in ("input", "weight", "bias"):
        named = {"input": input, "weight": weight, "bias": bias}
        named[frozen] = named[frozen].detach()
        F.linear_activation(**named).sum().backward()
        assert named[frozen].grad is None
    assert all(leaf.grad is not None for leaf in (input, weight, bias))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_products_of_16_bit_floats_are_rounded_once(device, dtype):
    """2048 ones and 2048 halves sum to more than a sum in 16 bits can reach."""
    kind = tn.bfloat16 if dtype == "bfloat16" else tn.float16
    x = tn.tensor([[1.0] * 2048 + [0.5] * 2048], dtype=kind, device=device)
    ones = tn.ones(1, 4096, dtype=kind, device=device)
    for result in (F.linear(x, ones), tn.matmul(x, ones.T), tn.einsum("ij,kj->ik", x, ones)):
        assert result.dtype == kind
        assert float(result.to(tn.float32).item()) == 3072.0


def test_a_padding_row_gets_no_gradient(device):
    table = tn.tensor(np.ones((4, 2), np.float32), device=device, requires_grad=True)
    ids = tn.tensor([[3, 1], [1, 0]], device=device)
    F.embedding(ids, table, padding_idx=-3).sum().backward()
    assert table.grad.tolist() == [[1, 1], [0, 0], [0, 0], [1, 1]]


def test_rows_chosen_often_get_all_their_gradients(device):
    table = tn.tensor(np.zeros((3, 2), np.float32), device=device, requires_grad=True)
    F.embedding(tn.tensor([1] * 100, device=device), table).sum().backward()
    assert table.grad.tolist() == [[0, 0], [100, 100], [0, 0]]

"""Random programs: their gradients against differences of the same program in NumPy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import tinynn as tn
from tests.opinfo.maker import examples

# Everything broadcasts with everything; values stay near 1, away from poles.
LEAVES = ((), (3,), (2, 3), (2, 1))
UNARY = {
    "tanh": (tn.tanh, np.tanh),
    "sin": (tn.sin, np.sin),
    "exp of tanh": (lambda x: x.tanh().exp(), lambda x: np.exp(np.tanh(x))),
    "square": (lambda x: x * x * 0.5, lambda x: x**2 / 2),
    "negative": (lambda x: -x, np.negative),
    "mean": (lambda x: x.mean(), lambda x: np.asarray(np.mean(x))),
    "sum of the last": (
        lambda x: x.sum(-1, keepdim=True) if x.ndim else x,
        lambda x: x.sum(-1, keepdims=True) if x.ndim else x,
    ),
    "round trip": (lambda x: x.reshape(-1).flip(0).reshape(x.shape), lambda x: np.flip(x)),
    "first": (lambda x: x[..., :1] if x.ndim else x, lambda x: x[..., :1] if x.ndim else x),
    "twice": (lambda x: x + x, lambda x: 2 * x),
    "clone": (tn.clone, np.copy),
}
BINARY = {
    "add": (lambda a, b: a + b, np.add),
    "sub": (lambda a, b: a - b, np.subtract),
    "mul": (lambda a, b: a * b, np.multiply),
    "div": (lambda a, b: a / (b * b + 2), lambda a, b: a / (b**2 + 2)),
    "maximum": (tn.maximum, np.maximum),
}


@st.composite
def programs(draw):
    """Steps (operation, operands), each operand being the number of a leaf or earlier step."""
    steps = []
    for count in range(len(LEAVES), len(LEAVES) + draw(st.integers(1, 12))):
        name = draw(st.sampled_from(sorted(UNARY | BINARY)))
        operands = [draw(st.integers(0, count - 1)) for _ in range(2 if name in BINARY else 1)]
        steps.append((name, operands))
    return steps


def run(steps, leaves, which):
    """All values of a program; `which` is 0 for tinynn, 1 for NumPy."""
    values = list(leaves)
    for name, operands in steps:
        function = (UNARY | BINARY)[name][which]
        values.append(function(*(values[operand] for operand in operands)))
    return values


@examples(40)
@given(programs(), st.integers(0, 2**16))
def test_gradient_of_a_random_program(steps, seed):
    random = np.random.default_rng(seed)
    arrays = [random.uniform(0.2, 1.2, shape) for shape in LEAVES]
    directions = [random.standard_normal(shape) for shape in LEAVES]
    leaves = [tn.tensor(array, requires_grad=True) for array in arrays]
    values = run(steps, leaves, 0)
    weights = [random.standard_normal(value.shape) for value in values]

    def total(step):
        moved = [a + step * d for a, d in zip(arrays, directions, strict=True)]
        return sum(np.sum(w * v) for w, v in zip(weights, run(steps, moved, 1), strict=True))

    loss = sum((tn.tensor(w) * value).sum() for w, value in zip(weights, values, strict=True))
    np.testing.assert_allclose(loss.item(), total(0), rtol=1e-10, atol=1e-10)
    loss.backward()
    actual = sum(np.sum(x.grad.numpy() * d) for x, d in zip(leaves, directions, strict=True))
    expected = (total(1e-5) - total(-1e-5)) / 2e-5
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@examples(15)
@given(programs(), st.integers(0, 2**16))
def test_grad_create_graph_and_backward_agree(steps, seed):
    """Three ways to the same gradients, which the graph survives where it should."""
    random = np.random.default_rng(seed)
    leaves = [tn.tensor(random.uniform(0.2, 1.2, shape), requires_grad=True) for shape in LEAVES]
    loss = sum(value.sum() for value in run(steps, leaves, 0))
    recorded = tn.grad(loss, leaves, create_graph=True)
    plain = tn.grad(loss, leaves, retain_graph=True)
    loss.backward()
    for leaf, first, second in zip(leaves, recorded, plain, strict=True):
        np.testing.assert_allclose(first.detach().numpy(), leaf.grad.numpy(), rtol=1e-12)
        np.testing.assert_array_equal(second.numpy(), leaf.grad.numpy())

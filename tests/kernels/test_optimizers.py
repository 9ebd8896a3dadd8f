"""Optimizer steps: the kernels against the references, and both against PyTorch's."""

import itertools

import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, assert_kernel_agrees, kernel_of
from tinynn.backend.kernel_table import reference_of

FIND = pytest.mark.parametrize("find", [kernel_of, reference_of], ids=["kernel", "reference"])


def numbers(count, dtype, arrays):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(count).astype(dtype) for _ in range(arrays)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [0, 1, 37])
def test_sgd_kernel_agrees_with_reference(count, dtype):
    parameters, gradients, buffer = numbers(count, dtype, 3)
    for weight_decay, maximize in itertools.product([0.0, 0.01], [False, True]):
        options = {"lr": 0.1, "weight_decay": weight_decay, "maximize": maximize}
        assert_kernel_agrees("sgd_step", parameters, gradients, None, **options)
        for dampening, nesterov in [(0.0, False), (0.3, False), (0.0, True)]:
            assert_kernel_agrees(
                "sgd_step",
                parameters,
                gradients,
                buffer,
                momentum=0.9,
                dampening=dampening,
                nesterov=nesterov,
                **options,
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [0, 1, 37])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adamw_kernel_agrees_with_reference(amsgrad, count, dtype):
    parameters, gradients, mean, square, largest = numbers(count, dtype, 5)
    memory = [mean, square**2, largest**2][: 3 if amsgrad else 2]
    for maximize, step in [(False, 1), (True, 7)]:
        options = {"lr": 0.1, "step": step, "maximize": maximize, "weight_decay": 0.1}
        assert_kernel_agrees("adamw_step", parameters, gradients, *memory, **options)


@FIND
def test_sgd_by_hand(find):
    parameters, gradients = np.array([1.0, 2.0]), np.array([10.0, -10.0])
    buffer = np.array([100.0, 0.0])
    find("sgd_step")(parameters, gradients, buffer, lr=0.01, momentum=0.5)
    np.testing.assert_allclose(buffer, [60, -10])
    np.testing.assert_allclose(parameters, [0.4, 2.1])
    np.testing.assert_array_equal(gradients, [10, -10])


@FIND
def test_first_adamw_step_is_the_learning_rate(find):
    """Whatever the size of the gradient: both means are corrected for their start at 0."""
    parameters, gradients = np.zeros(3), np.array([1e-3, -1.0, 1e3])
    find("adamw_step")(
        parameters, gradients, np.zeros(3), np.zeros(3), lr=0.1, step=1, weight_decay=0.0
    )
    np.testing.assert_allclose(parameters, [-0.1, 0.1, -0.1], rtol=1e-4)


@FIND
@pytest.mark.parametrize("wrap", [np.float32, lambda v: np.array([v]), lambda v: np.array(v)])
def test_rate_and_step_may_be_arrays_of_one_element(wrap, find):
    for name, memory in {"sgd_step": 0, "adamw_step": 2}.items():
        results = []
        for convert in (float, wrap):
            parameters, gradients, *state = numbers(5, "float32", 2 + memory)
            options = {"step": convert(3)} if memory else {}
            state = [array**2 for array in state]
            find(name)(parameters, gradients, *state, lr=convert(0.125), **options)
            results.append(parameters)
        assert results[1].dtype == np.float32
        np.testing.assert_allclose(results[0], results[1], rtol=1e-6)


def test_16_bit_floats_go_to_the_reference():
    parameters = np.ones(3, np.float16)
    assert kernel_of("sgd_step")(parameters, parameters, None, lr=0.5) is NotImplemented
    reference_of("sgd_step")(parameters, np.ones(3, np.float16), None, lr=0.5)
    np.testing.assert_array_equal(parameters, np.full(3, 0.5, np.float16))


@FIND
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"weight_decay": 0.1},
        {"momentum": 0.9, "weight_decay": 0.1},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "dampening": 0.5},
    ],
)
def test_sgd_agrees_with_torch(options, maximize, find):
    torch = pytest.importorskip("torch")
    parameters, *gradients = numbers(11, "float64", 4)
    theirs = torch.nn.Parameter(torch.tensor(parameters))
    optimizer = torch.optim.SGD([theirs], lr=0.1, maximize=maximize, **options)
    buffer = np.zeros(11) if "momentum" in options else None
    for step, gradient in enumerate(gradients):
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
        ours = options if step else {**options, "dampening": 0.0}
        find("sgd_step")(parameters, gradient, buffer, lr=0.1, maximize=maximize, **ours)
        np.testing.assert_allclose(parameters, theirs.detach().numpy(), rtol=1e-12)


@FIND
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adamw_agrees_with_torch(amsgrad, maximize, find):
    torch = pytest.importorskip("torch")
    parameters, *gradients = numbers(11, "float64", 5)
    theirs = torch.nn.Parameter(torch.tensor(parameters))
    options = {"lr": 0.1, "weight_decay": 0.2, "betas": (0.8, 0.95), "maximize": maximize}
    optimizer = torch.optim.AdamW([theirs], amsgrad=amsgrad, **options)
    memory = [np.zeros(11) for _ in range(3 if amsgrad else 2)]
    for step, gradient in enumerate(gradients, 1):
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
        find("adamw_step")(parameters, gradient, *memory, step=step, **options)
        np.testing.assert_allclose(parameters, theirs.detach().numpy(), rtol=1e-12)

"""Every operation's gradients, and their gradients, along random directions in float64.

With L = <w, f(x)> a rule gives the gradient J^T w, and <J^T w, v> must be the change of L along v.
For second derivatives the same is asked of S(x, w) = <J^T w, u>.
"""

import numpy as np
import pytest
from hypothesis import given

import tinynn as tn
from tests.opinfo import OPINFOS
from tests.opinfo.calls import (
    Scalar,
    assert_derivative,
    call,
    difference,
    flat,
    shown,
    tensors_of,
)
from tests.opinfo.maker import Maker, examples, makers

DIFFERENTIABLE = [name for name, info in OPINFOS.items() if info.differentiable]
TWICE = [name for name in DIFFERENTIABLE if OPINFOS[name].twice]
SINGLE_AND_HALF = [
    (name, dtype)
    for name in DIFFERENTIABLE
    for dtype in ("float32", "float16")
    if dtype in OPINFOS[name].dtypes
]
CONSTANT = [name for name in OPINFOS if name not in DIFFERENTIABLE]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient_along_a_direction(name):
    info = OPINFOS[name]

    @examples(3)
    @given(makers("float64"))
    def check(make):
        for arguments in info.samples(make):
            with shown(arguments):
                scalar = Scalar(info, arguments, make.random)
                if not scalar.leaves:
                    continue
                gradients = scalar.gradients([tn.Tensor(weight) for weight in scalar.weights])
                for leaf, gradient in zip(scalar.leaves, gradients, strict=True):
                    direction = scalar.direction(leaf.data)
                    assert gradient.shape == leaf.shape
                    if leaf.data.size:
                        expected = difference(scalar.value, leaf, direction)
                        assert_derivative(np.sum(gradient.data * direction), expected)

    check()


@pytest.mark.parametrize("name", TWICE)
def test_second_derivative_along_a_direction(name):
    info = OPINFOS[name]

    @examples(2)
    @given(makers("float64"))
    def check(make):
        for arguments in info.samples(make):
            with shown(arguments):
                check_second_derivative(info, arguments, make.random)

    check()


def check_second_derivative(info, arguments, random):
    scalar = Scalar(info, arguments, random)
    if not any(leaf.data.size for leaf in scalar.leaves):
        return
    if not any(part.requires_grad for part in scalar.floats()):
        return
    weights = [tn.Tensor(weight, requires_grad=True) for weight in scalar.weights]
    points = [*scalar.leaves, *weights]
    directions = [scalar.direction(leaf.data) for leaf in scalar.leaves]

    def slope():
        """S, by NumPy, from first gradients."""
        found = scalar.gradients([weight.detach() for weight in weights])
        return sum(
            float(np.sum(gradient.data * direction))
            for gradient, direction in zip(found, directions, strict=True)
        )

    gradients = scalar.gradients(weights, create_graph=True)
    recorded = [
        (gradient, tn.Tensor(direction))
        for gradient, direction in zip(gradients, directions, strict=True)
        if gradient.requires_grad
    ]
    second = tn.grad(
        [gradient for gradient, _ in recorded],
        points,
        [direction for _, direction in recorded],
        allow_unused=True,
    )
    for point, found in zip(points, second, strict=True):
        if not point.data.size:
            continue
        direction = scalar.direction(point.data)
        expected = difference(slope, point, direction)
        actual = 0.0 if found is None else float(np.sum(found.data * direction))
        assert_derivative(actual, expected)


@pytest.mark.parametrize(("name", "dtype"), SINGLE_AND_HALF)
def test_gradient_has_the_dtype_of_its_tensor(name, dtype):
    check_gradient_dtypes(OPINFOS[name], Maker(2, dtype))


@pytest.mark.parametrize("name", [name for name in DIFFERENTIABLE if OPINFOS[name].mixed])
def test_gradient_dtypes_of_mixed_inputs(name):
    info = OPINFOS[name]
    check_gradient_dtypes(info, Maker(3, ("float32", "float64")))
    if "int64" in info.dtypes:
        check_gradient_dtypes(info, Maker(4, ("float32", "int64")))


def check_gradient_dtypes(info, make):
    for arguments in info.samples(make):
        with shown(arguments):
            leaves, _ = backward(info, arguments)
            for leaf in leaves:
                if leaf.grad is not None:
                    assert leaf.grad.dtype == leaf.dtype
                    assert leaf.grad.shape == leaf.shape
                    assert type(leaf.grad.data) is np.ndarray


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_share_no_memory(name):
    """What a rule may borrow never shows in `.grad`: it is nobody else's array."""
    info = OPINFOS[name]
    for arguments in info.samples(Maker(5, info.usual_dtype)):
        with shown(arguments):
            leaves, others = backward(info, arguments)
            arrays = [leaf.grad.data for leaf in leaves if leaf.grad is not None]
            for index, array in enumerate(arrays):
                assert array.flags.writeable
                for other in (*arrays[:index], *others):
                    assert not np.shares_memory(array, other)


def backward(info, arguments):
    """The leaves after a backward pass; and the arrays that they must not share."""
    tensors, leaves = tensors_of(info, arguments, requires_grad=True)
    results = [part for part in call(info, tensors) if part.requires_grad]
    others = [leaf.data for leaf in leaves]
    for result in results:
        gradient = np.ones(result.shape, result.dtype)
        result.backward(tn.Tensor(gradient), retain_graph=True)
        others += [result.data, gradient]
    return leaves, others


@pytest.mark.parametrize("name", CONSTANT)
def test_an_operation_without_gradient_is_not_recorded(name):
    info = OPINFOS[name]
    for arguments in info.samples(Maker(6, info.usual_dtype)):
        with shown(arguments):
            tensors, _ = tensors_of(info, arguments, requires_grad=True)
            assert not any(part.requires_grad for part in flat(call(info, tensors)))

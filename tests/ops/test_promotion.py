"""The dtype of a result by PyTorch's table, also for bfloat16, and of a gradient."""

import itertools
import operator
import warnings

import ml_dtypes
import numpy as np
import pytest

import tinynn as tn
from tests.opinfo import OPINFOS
from tests.opinfo.calls import call, convert_sample, shown
from tests.opinfo.maker import Maker

NAMES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64",
)  # fmt: skip
SCALARS = (True, 2, 2.5, np.float64(2.5), np.float32(2.5), np.int64(2))
OPERATORS = {
    "+": operator.add,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "**": operator.pow,
    "<": operator.lt,
    "&": operator.and_,
}


def outcome(function, operands):
    """The dtype and the values; "refused" and none where it raises."""
    try:
        result = function(*operands)
    except (TypeError, RuntimeError, NotImplementedError):
        return "refused", []
    return str(result.dtype).replace("torch.", ""), result.tolist()


@pytest.mark.parametrize("symbol", OPERATORS)
def test_results_have_torchs_dtype(symbol):
    torch = pytest.importorskip("torch")
    tensors = [
        (lambda lib, name=name, shape=shape: lib.full(shape, 3, dtype=getattr(lib, name)))
        for name, shape in itertools.product(NAMES, ((2,), ()))
    ]
    for left, right in itertools.product(tensors, [*tensors, *SCALARS]):
        ours, theirs = (
            [side(lib) if callable(side) else side for side in (left, right)] for lib in (tn, torch)
        )
        if symbol in ("//", "**") and all(np.asarray(side).dtype == bool for side in ours):
            continue  # torch has no quotients of bools
        for order in (1, -1):
            dtype, values = outcome(OPERATORS[symbol], ours[::order])
            expected_dtype, expected = outcome(OPERATORS[symbol], theirs[::order])
            assert dtype == expected_dtype, theirs[::order]
            np.testing.assert_allclose(values, expected, rtol=2**-7)


def test_python_numbers_do_not_widen_bfloat16():
    x = tn.tensor([1.0, 3.0], dtype=tn.bfloat16)
    results = [x + 0.5, x * 2, 1.5 - x, x / 3, x**0.5, 2.5**x, tn.clamp(x, 1.5), x % 0.7]
    results += [tn.maximum(x, tn.tensor(2.5)), tn.nn.functional.leaky_relu(-x, 0.3)]
    wide = np.array([1.0, 3.0])
    expected = [wide + 0.5, wide * 2, 1.5 - wide, wide / 3, wide**0.5, 2.5**wide]
    expected += [np.maximum(wide, 1.5), wide % 0.7, np.maximum(wide, 2.5), -0.3 * wide]
    for result, values in zip(results, expected, strict=True):
        assert result.dtype == ml_dtypes.bfloat16
        np.testing.assert_allclose(np.array(result.tolist()), values, rtol=2**-6)


@pytest.mark.parametrize("name", [name for name, info in OPINFOS.items() if info.differentiable])
def test_gradients_of_bfloat16_are_bfloat16(name):
    info = OPINFOS[name]
    if "float16" not in info.dtypes:
        pytest.skip(f"{name} is not tested in 16 bits")
    for arguments in info.samples(Maker(0, "float32")):
        leaves = []

        def wrap(array, leaves=leaves):
            if array.dtype.kind != "f":
                return tn.Tensor(array)
            leaves.append(tn.Tensor(array.astype(ml_dtypes.bfloat16), requires_grad=True))
            return leaves[-1]

        with shown(arguments):
            if any(name in info.constants for name in arguments.kwargs):
                continue
            for result in call(info, convert_sample(arguments, wrap)):
                if not result.requires_grad:
                    continue
                result.backward(tn.Tensor(np.ones(result.shape, result.dtype)), retain_graph=True)
            for leaf in leaves:
                assert leaf.grad is None or leaf.grad.dtype == ml_dtypes.bfloat16


def test_second_derivatives_in_bfloat16():
    x = tn.tensor([1.0, 2.0], dtype=tn.bfloat16, requires_grad=True)
    (slope,) = tn.grad((x**3 * 2.5).sum(), x, create_graph=True)
    (curvature,) = tn.grad(slope.sum(), x)
    assert slope.dtype == curvature.dtype == ml_dtypes.bfloat16
    assert (slope.tolist(), curvature.tolist()) == ([7.5, 30], [15, 30])


def test_bfloat16_trains():
    layer = tn.nn.Linear(3, 2).to(tn.bfloat16)
    optimizer = tn.optim.SGD(layer.parameters(), lr=0.5)
    x, target = tn.eye(3, dtype=tn.bfloat16), tn.tensor([0, 1, 0])
    losses = []
    for _ in range(30):
        loss = tn.nn.functional.cross_entropy(layer(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert layer.weight.grad.dtype == ml_dtypes.bfloat16
    assert losses[-1] < 0.3 * losses[0]


def test_ordinary_promotion_is_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (tn.tensor([1, 2]) * 0.5).dtype == tn.float32
        assert (tn.tensor([1, 2], dtype=tn.uint8) + tn.tensor(1000)).dtype == tn.uint8
        assert (tn.tensor([1.0], dtype=tn.float16) * np.float64(2)).dtype == tn.float16

"""A tensor among Python's own: f-strings, `in`, numbers, iteration, and NumPy's conversions."""

import operator

import numpy as np
import pytest

import tinynn as tn

SCALAR = tn.tensor(1.23456, requires_grad=True)


def test_f_strings_of_numbers_and_of_tensors():
    assert f"{SCALAR:.4f} {SCALAR:8.1e} {tn.tensor(3):03d} {tn.tensor(True)}" == (
        "1.2346  1.2e+00 003 True"
    )
    assert f"{tn.tensor(2.5)}" == "2.5"
    assert f"{tn.tensor([1.0, 2.0])}" == "tensor([1., 2.])"
    with pytest.raises(TypeError, match=r"'.2f' needs a tensor of no dimensions.*\(2,\)"):
        f"{tn.ones(2):.2f}"


def test_membership():
    x = tn.tensor([[1, 2], [3, 4]])
    assert 2 in x
    assert 7 not in x
    assert tn.tensor(4) in x
    assert tn.tensor(2) in [tn.tensor(1), tn.tensor(2)]
    assert x in {x}
    assert x.clone() not in {x}


def test_comparison_with_what_is_no_tensor():
    x = tn.tensor([1.0, 2.0])
    for other in (None, "a", [1.0, 2.0]):
        assert (x == other) is False
        assert (x != other) is True
    for operands in ((x, np.ones(2)), (np.ones(2), x)):
        with pytest.raises(TypeError, match="eq: expected a tensor or a number, got ndarray"):
            operator.eq(*operands)


@pytest.mark.parametrize("convert", [bool, tn.Tensor.item])
@pytest.mark.parametrize("shape", [(2,), (0,)])
def test_only_one_element_is_a_number(convert, shape):
    with pytest.raises(RuntimeError, match=str(shape).replace("(", r"\(").replace(")", r"\)")):
        convert(tn.zeros(shape))


def test_numbers():
    assert (int(tn.tensor([3.7])), float(tn.tensor([[2]])), bool(tn.tensor([0.0]))) == (
        3,
        2.0,
        False,
    )
    assert [10, 20, 30][tn.tensor(1)] == 20
    assert +SCALAR is SCALAR
    assert sum([tn.tensor(1), tn.tensor(2)]).item() == 3
    assert [item.item() for item in reversed(tn.tensor([1, 2]))] == [2, 1]


def test_arrays_of_numpy():
    x = tn.tensor([1.0, 2.0])
    assert np.asarray(x) is x.data
    assert not np.shares_memory(np.array(x), x.data)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="copy"):
        np.asarray(x, dtype=np.float64, copy=False)
    with pytest.raises(RuntimeError, match="requires grad"):
        np.asarray(SCALAR)


@pytest.mark.parametrize(
    ("tensor", "shown"),
    [
        (tn.arange(0), "tensor([], dtype=int64)"),
        (tn.zeros(2, 0), "tensor([], size=(2, 0))"),
        (tn.zeros(2, 0, dtype=tn.bool), "tensor([], size=(2, 0), dtype=bool)"),
        (tn.tensor([1, 2]), "tensor([1, 2])"),
        (tn.tensor(1.5, dtype=tn.bfloat16), "tensor(1.5000, dtype=bfloat16)"),
    ],
)
def test_repr_tells_the_dtype_that_the_values_do_not(tensor, shown):
    assert repr(tensor) == shown

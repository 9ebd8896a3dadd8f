"""Changes in place: every operator writes into the tensor, every form of index to its place."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinynn as tn
from tests.opinfo.maker import examples

OPERATORS = {
    "+=": (operator.iadd, [1.5, -2.0], 2.0),
    "-=": (operator.isub, [1.5, -2.0], 2.0),
    "*=": (operator.imul, [1.5, -2.0], 2.0),
    "/=": (operator.itruediv, [1.5, -2.0], 2.0),
    "//=": (operator.ifloordiv, [1.5, -2.0], 2.0),
    "%=": (operator.imod, [1.5, -2.0], 2.0),
    "**=": (operator.ipow, [1.5, -2.0], 2.0),
    "&=": (operator.iand, [6, 5], 3),
    "|=": (operator.ior, [6, 5], 3),
    "^=": (operator.ixor, [6, 5], 3),
}


@pytest.mark.parametrize("symbol", OPERATORS)
def test_operators_write_into_the_tensor(symbol, device):
    function, values, other = OPERATORS[symbol]
    expected = function(np.array(values), other)
    for operand in (other, tn.tensor(other).to(device), np.array(other)[()]):
        x = tn.tensor(values).to(device)
        view = x[:1]
        result = function(x, operand)
        assert result is x
        np.testing.assert_allclose(x.tolist(), expected, rtol=1e-6)
        assert view.tolist() == x.tolist()[:1]


@pytest.mark.parametrize("symbol", OPERATORS)
def test_a_tensor_that_is_recorded_is_not_changed(symbol):
    function, _, other = OPERATORS[symbol]
    x = tn.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="not recorded"):
        function(x, other)
    assert x.tolist() == [1, 1]


@pytest.mark.parametrize("other", [None, "1", [1.0, 2.0], np.ones(2)], ids=repr)
@pytest.mark.parametrize("symbol", OPERATORS)
def test_what_is_no_operand(symbol, other):
    with pytest.raises(TypeError, match=r"expected a tensor or a number|unsupported operand"):
        OPERATORS[symbol][0](tn.tensor([1, 2]), other)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.add_(0.5),
        lambda x: x.pow_(0.5),
        lambda x: x.clamp_(0.5, 1.5),
        lambda x: operator.itruediv(x, 2),
        lambda x: operator.imod(x, 0.5),
    ],
)
def test_integers_do_not_become_floats_in_place(change):
    x = tn.tensor([1, 2])
    with pytest.raises(RuntimeError, match="float32 and does not fit into this tensor of int64"):
        change(x)
    assert x.tolist() == [1, 2]


def test_a_change_is_seen_by_the_graph():
    for change in (lambda x: x.pow_(2), lambda x: x.clamp_(0), lambda x: x.masked_fill_(x > 0, 0)):
        x, weight = tn.tensor([1.0, 2.0]), tn.ones(2, requires_grad=True)
        y = (x * weight).sum()
        change(x)
        with pytest.raises(RuntimeError, match="changed in place"):
            y.backward()


def test_numbers_that_do_not_fit():
    for change in (
        lambda x: x.add_(300),
        lambda x: x.fill_(300),
        lambda x: x.__setitem__(0, -1),
        lambda x: x * -1,
    ):
        with pytest.raises(RuntimeError, match="out of bounds for uint8"):
            change(tn.tensor([1, 2], dtype=tn.uint8))


def test_copies_come_from_every_device_dtype_and_smaller_shape(device):
    x = tn.zeros(2, 2)
    assert x.copy_(tn.tensor([1, 2]).to(device)) is x
    assert x.tolist() == [[1, 2]] * 2
    assert x.fill_(tn.tensor(3)).tolist() == [[3, 3]] * 2
    assert x.zero_().tolist() == [[0, 0]] * 2
    with pytest.raises(RuntimeError, match=r"copy_: .*\(3,\)"):
        x.copy_(tn.ones(3))
    with pytest.raises(RuntimeError, match=r"fill_: .*\(2,\)"):
        x.fill_(tn.ones(2))


@pytest.mark.parametrize(
    ("key", "value", "error", "says"),
    [
        (0, None, TypeError, "got NoneType"),
        (0, "1", TypeError, "got str"),
        (3, 1, IndexError, r"index 3 .*shape \(3,\)"),
        ([0, 5], 1, IndexError, r"index 5 .*shape \(3,\)"),
        ((0, 0), 1, IndexError, r"too many indices .*shape \(3,\)"),
        (np.array([True, False]), 1, IndexError, r"mask of shape \(2,\)"),
        ("a", 1, TypeError, "got str"),
        (slice(2), [1.0, 2.0, 3.0], RuntimeError, r"\(3,\)"),
    ],
)
def test_what_cannot_be_assigned(key, value, error, says):
    x = tn.zeros(3)
    with pytest.raises(error, match=f"setitem: .*{says}"):
        x[key] = value
    assert x.tolist() == [0, 0, 0]


def test_values_that_can_be_assigned(device):
    for value in (5, 5.0, True * 5, np.float64(5), tn.tensor(5), tn.tensor([5.0]).to(device)):
        x = tn.zeros(2, device=device)
        x[1] = value if not isinstance(value, tn.Tensor) else value.to(device)
        assert x.tolist() == [0, 5]
    x = tn.zeros(2, 2, device=device)
    x[...] = [1, 2]
    x[1] = np.array([3.0, 4.0])
    assert x.tolist() == [[1, 2], [3, 4]]


ITEMS = st.one_of(
    st.integers(-2, 1),
    st.sampled_from([slice(None), slice(1, None), slice(0, 1), None]),
    st.sampled_from(
        [[0, 1], [1, 1, 0], np.array([[0], [1]]), np.array(1), np.array([True, False])]
    ),
)


@examples(100)
@given(st.lists(ITEMS, min_size=1, max_size=3))
def test_what_is_written_is_what_is_read(items):
    index = tuple(tn.tensor(item) if isinstance(item, np.ndarray) else item for item in items)
    x = tn.arange(8).reshape(2, 2, 2)
    try:
        places = x[index].clone()
    except IndexError:  # the arrays do not broadcast
        with pytest.raises(IndexError):
            x[index] = 0
        return
    # Each element gets its own number plus 100: also where a place comes twice.
    x[index] = places + 100
    expected = np.arange(8)
    expected[np.unique(places.numpy())] += 100
    np.testing.assert_array_equal(x.numpy().reshape(-1), expected)


def test_integers_come_before_arrays_also_in_assignment():
    """As in PyTorch; NumPy would put the array's dimension first."""
    x = tn.zeros(2, 3, 4)
    x[0, :, [1, 2]] = tn.arange(6).reshape(3, 2)
    assert x[0].tolist() == [[0, 0, 1, 0], [0, 2, 3, 0], [0, 4, 5, 0]]


def test_a_tensor_without_dimensions_is_an_integer_index():
    x = tn.zeros(2, 3)
    row = x[tn.tensor(1)]
    row += 1
    assert x.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert tn.zeros(2, 3, 4, 5)[:, tn.tensor(0), 1:, [[3], [4], [0]]].shape == (2, 3, 3, 1)

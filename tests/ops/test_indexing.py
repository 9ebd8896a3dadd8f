"""Indexing beyond single samples: repeated indices, devices, random indices against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import tinynn as tn
from tests.opinfo.maker import examples

SHAPE = (3, 4, 2)


def leaf(device="cpu"):
    return tn.Tensor(tn.arange(24).to(tn.float64).reshape(SHAPE).to(device).data, True)


@examples(60)
@given(arrays.basic_indices(SHAPE, allow_newaxis=True))
def test_slices_are_numpys(index):
    x = leaf()
    result = x[index]
    np.testing.assert_array_equal(result.detach().numpy(), x.detach().numpy()[index])
    result.sum().backward()
    expected = np.zeros(SHAPE)
    expected[index] = 1
    np.testing.assert_array_equal(x.grad.numpy(), expected)


@examples(40)
@given(
    st.integers(1, 3).flatmap(
        lambda count: arrays.integer_array_indices(
            SHAPE[:count], result_shape=arrays.array_shapes(max_dims=2, min_side=0, max_side=5)
        )
    )
)
def test_arrays_are_numpys_and_repeated_places_add_up(index):
    x = leaf()
    result = x[index]
    np.testing.assert_array_equal(result.detach().numpy(), x.detach().numpy()[index])
    weights = np.arange(1.0, result.numel() + 1).reshape(result.shape)
    result.backward(tn.tensor(weights))
    expected = np.zeros(SHAPE)
    np.add.at(expected, index, weights)
    np.testing.assert_allclose(x.grad.numpy(), expected)


@examples(20)
@given(arrays.arrays(bool, st.sampled_from([SHAPE, SHAPE[:2], SHAPE[:1]])))
def test_masks_are_numpys(mask):
    x = leaf()
    result = x[tn.tensor(mask)]
    np.testing.assert_array_equal(result.detach().numpy(), x.detach().numpy()[mask])
    result.sum().backward()
    expected = np.zeros(SHAPE)
    expected[mask] = 1
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_integers_come_before_arrays():
    """As in PyTorch; NumPy would put the array's dimension first."""
    x = leaf()
    assert x[0, :, [0, 1, 1]].shape == (4, 3)


def test_every_kind_of_index():
    x = leaf()
    rows = [2, 0]
    for index in (rows, np.array(rows), tn.tensor(rows), tn.tensor(rows).to(tn.int32)):
        np.testing.assert_array_equal(x[index].detach().numpy(), x.detach().numpy()[rows])
    assert x[np.int64(1)].shape == (4, 2)
    assert x[tn.tensor(1)].shape == (4, 2)
    assert x[[]].shape == (0, 4, 2)
    assert x[True].shape == (1, *SHAPE)
    assert x[tn.tensor(False)].shape == (0, *SHAPE)


def test_indices_on_the_host_serve_every_device(device):
    x = leaf(device)
    mask = np.zeros(3, bool)
    mask[[0, 2]] = True
    for index in ([0, 2], np.array([0, 2]), tn.tensor([0, 2]), tn.tensor([0, 2]).to(device), mask):
        part = x[index]
        assert part.device == x.device
        assert part[:, 0, 0].tolist() == [0, 16]
        part.sum().backward()
    assert x.grad[:, 0, 0].tolist() == [5, 0, 5]


def test_indices_on_another_device_are_refused():
    with pytest.raises(RuntimeError, match="two devices, cpu and fake"):
        leaf()[tn.tensor([0]).to("fake")]
    with pytest.raises(RuntimeError, match="two devices, cpu and fake"):
        tn.gather(tn.zeros(3), 0, tn.tensor([0]).to("fake"))


def test_iteration_goes_over_the_first_dimension():
    x = leaf()
    rows = list(x)
    assert [row.shape for row in rows] == [(4, 2)] * 3
    sum(row.sum() * number for number, row in enumerate(rows)).backward()
    assert x.grad[:, 0, 0].tolist() == [0, 1, 2]
    with pytest.raises(TypeError, match="no dimensions"):
        iter(tn.tensor(1.0))


def test_sums_into_places_are_exact_for_large_integers():
    big = 2**53 + 1
    total = tn.index_add(tn.tensor([big]), 0, tn.tensor([0, 0]), tn.tensor([big, -1]))
    assert total.item() == 2 * big - 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32"])
def test_sums_into_places_on_every_device(device, dtype):
    start = tn.tensor([10, 20, 30], dtype=dtype).to(device)
    index = tn.tensor([2, 0, 2]).to(device)
    parts = tn.tensor([1, 2, 3], dtype=dtype).to(device)
    for function in (tn.index_add, tn.scatter_add):
        assert function(start, 0, index, parts).tolist() == [12, 20, 34]
    assert start.tolist() == [10, 20, 30]

"""Tensors from numbers, lists, arrays and other libraries, and filled ones."""

import warnings

import ml_dtypes
import numpy as np
import pytest

import tinynn as tn

FLOAT_LIST = [0.1, 1e-30, 3.0]


def test_python_numbers_reach_their_dtype_in_one_step():
    np.testing.assert_array_equal(
        tn.tensor(FLOAT_LIST, dtype=tn.float64).numpy(), np.array(FLOAT_LIST), strict=True
    )
    assert tn.tensor(0.1, dtype=tn.float64).item() == 0.1
    assert tn.tensor(1e300, dtype=float).item() == 1e300


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([1.5, 2], "float32"),
        ([1, 2], "int64"),
        ([True, False], "bool"),
        ([True, 2], "int64"),
        ([], "float32"),
        ([np.float64(1.5), 2.0], "float64"),
        ([np.array([1.5, 2.0])], "float64"),
        ([np.float32(1.5), 2.0], "float32"),
        ([np.int8(1)], "int8"),
        ([np.uint64(1)], "uint64"),
        (np.float16(1.5), "float16"),
        (np.arange(3, dtype=">i4"), "int32"),
        ([tn.tensor(1.0, dtype=tn.float64)], "float64"),
        ([tn.tensor(1.0, requires_grad=True), 2.0], "float32"),
        ([[tn.tensor(1), 2], [3, 4]], "int64"),
        (range(3), "int64"),
        (np.ones(2, ml_dtypes.bfloat16), "bfloat16"),
    ],
    ids=str,
)
def test_the_dtype_of_data(data, dtype):
    result = tn.tensor(data)
    assert result.dtype.name == dtype
    assert result.dtype.isnative
    assert not result.requires_grad


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        ([[1, 2], [3]], ValueError, "ragged"),
        ([1, 2**70], ValueError, "out of range for int64"),
        (2**63, ValueError, "out of range for int64"),
        ("1", TypeError, "expected numbers, got str"),
        ([1, None], TypeError, "expected numbers, got list"),
        (1 + 2j, TypeError, "expected numbers, got complex"),
        (np.array([1j]), TypeError, "complex128"),
        (np.array(["a"]), TypeError, "<U1"),
        ({1, 2}, TypeError, "got set"),
    ],
    ids=str,
)
def test_what_is_not_numbers(data, error, says):
    with pytest.raises(error, match=says):
        tn.tensor(data)


def test_numbers_beyond_float32_become_inf_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tn.tensor([1e40, -1e40]).tolist() == [np.inf, -np.inf]


def test_as_tensor_shares_memory_where_it_can():
    array = np.zeros(3, np.float32)
    assert tn.as_tensor(array).data is array
    assert tn.as_tensor(array, dtype=tn.float64).dtype == tn.float64
    assert tn.as_tensor(array.astype(">f4")).dtype.isnative
    x = tn.ones(2)
    assert tn.as_tensor(x) is x


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: tn.zeros(2, -1), RuntimeError, r"zeros: .*\(2, -1\)"),
        (lambda: tn.ones(2.0), TypeError, r"ones: .*\(2.0,\)"),
        (lambda: tn.full((2,), 300, dtype=tn.uint8), RuntimeError, "full: .*300"),
        (lambda: tn.arange(5, 0), RuntimeError, "arange: no steps of 1 lead from 5 to 0"),
        (lambda: tn.arange(0, 1, 0), RuntimeError, "steps of 0"),
        (lambda: tn.linspace(0, 1, -1), RuntimeError, "linspace: .*-1"),
        (lambda: tn.eye(-1), RuntimeError, "eye: "),
        (lambda: tn.randint(0, 5), TypeError, "size is missing"),
        (lambda: tn.randint(5, 5, (2,)), RuntimeError, "low=5, high=5"),
        (lambda: tn.from_dlpack([1]), TypeError, "from_dlpack: .*got list"),
        (lambda: tn.from_numpy([1]), TypeError, "from_numpy: .*got list"),
        (lambda: tn.zeros(2, dtype="text"), TypeError, "dtype: 'text'"),
    ],
)
def test_bad_arguments(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_filled_tensors_on_every_device(device):
    made = [
        (tn.zeros(2, 3, device=device), np.zeros((2, 3), np.float32)),
        (tn.ones((2,), device=device, dtype=tn.int64), np.ones(2, np.int64)),
        (tn.full((2,), 7, device=device), np.full(2, 7)),
        (tn.full((2,), 7.5, device=device), np.full(2, 7.5, np.float32)),
        (tn.full([], tn.tensor(True), device=device), np.array(True)),
        (tn.arange(4, device=device), np.arange(4)),
        (tn.arange(1, 0, -0.25, device=device), np.arange(1, 0, -0.25, np.float32)),
        (tn.linspace(0, 1, 5, device=device), np.linspace(0, 1, 5, dtype=np.float32)),
        (tn.eye(2, 3, device=device), np.eye(2, 3, dtype=np.float32)),
    ]
    for result, expected in made:
        assert result.device.type == device
        np.testing.assert_array_equal(result.cpu().numpy(), expected, strict=True)


def test_tensors_like_another(device):
    like = tn.zeros(2, 3, dtype=tn.float16, device=device)
    for result in (tn.ones_like(like), like.new_ones(2, 3), like.new_full((2, 3), 1)):
        assert result.dtype == tn.float16
        assert result.device == like.device
        assert result.tolist() == [[1] * 3] * 2
    for result in (tn.rand_like(like), tn.randn_like(like), tn.empty_like(like), like.new_empty(3)):
        assert result.dtype == tn.float16
        assert result.device == like.device
    assert like.new_tensor([1, 2]).dtype == tn.float16
    assert tn.zeros_like(like, dtype=tn.int64, device="cpu").numpy().dtype == np.int64
    assert tn.full_like(like, 2, requires_grad=True).requires_grad
    assert not tn.zeros_like(tn.ones(2, requires_grad=True)).requires_grad


def test_randint_in_both_forms():
    for result in (
        tn.randint(5, (1000,)),
        tn.randint(0, 5, (1000,)),
        tn.randint(high=5, low=0, size=1000),
    ):
        assert result.shape == (1000,)
        assert sorted(set(result.tolist())) == [0, 1, 2, 3, 4]


def test_memory_is_shared_with_numpy_by_dlpack():
    array = np.zeros(3)
    ours = tn.from_dlpack(array)
    ours[0] = 1
    assert array.tolist() == [1, 0, 0]
    back = np.from_dlpack(ours)
    assert np.shares_memory(back, array)


def test_tensors_of_torch():
    torch = pytest.importorskip("torch")
    theirs = torch.arange(3.0)
    assert tn.tensor(theirs).tolist() == [0, 1, 2]
    shared = tn.as_tensor(theirs)
    shared[0] = 5
    assert theirs[0] == 5
    copied = tn.tensor(theirs)
    copied[0] = 6
    assert theirs[0] == 5
    assert torch.from_dlpack(tn.arange(3)).tolist() == [0, 1, 2]


def test_dtypes_of_arguments_are_torchs():
    torch = pytest.importorskip("torch")
    calls = [
        lambda lib: lib.tensor([1, 2], dtype=float),
        lambda lib: lib.tensor([1, 2], dtype=bool),
        lambda lib: lib.arange(0),
        lambda lib: lib.arange(2.5),
        lambda lib: lib.arange(3, dtype=lib.float),
        lambda lib: lib.full((2,), 3),
        lambda lib: lib.full((2,), np.float64(3)),
        lambda lib: lib.linspace(0, 10, 4, dtype=lib.long),
        lambda lib: lib.tensor(lib.inf),
    ]
    for call in calls:
        ours, theirs = call(tn), call(torch)
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), strict=True)

"""The fake of CuPy is as strict as CuPy, and computes what NumPy computes."""

from __future__ import annotations

import copy
import inspect
import operator
import weakref

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests import fake_cupy as xp
from tests.fake_cupy import tables
from tests.fake_cupy.array import parse


def grid() -> xp.ndarray:
    """[[0, 1, 2], [3, 4, 5]] in float32."""
    return xp.asarray(np.arange(6, dtype=np.float32).reshape(2, 3))


REFUSED = {
    "numpy ufunc": lambda a: np.exp(a),
    "numpy function": lambda a: np.sum(a),
    "numpy asarray": lambda a: np.asarray(a),
    "numpy array on the right": lambda a: a + np.ones(3, np.float32),
    "numpy array on the left": lambda a: np.ones(3, np.float32) * a,
    "numpy array compared": lambda a: a == np.ones(3, np.float32),
    "numpy array in place": lambda a: a.__iadd__(np.ones(3, np.float32)),
    "into a numpy array": lambda a: np.ones((2, 3), np.float32).__iadd__(a),
    "numpy array to a function": lambda a: xp.maximum(a, np.ones(3, np.float32)),
    "numpy array to a reduction": lambda a: xp.sum(np.ones(3)),
    "numpy array assigned": lambda a: a.__setitem__(0, np.ones(3, np.float32)),
    "numpy array as out": lambda a: xp.exp(a, out=np.empty((2, 3), np.float32)),
    "list to a function": lambda a: xp.sum([1, 2]),
    "list in an operator": lambda a: operator.add(a, [1.0, 2.0, 3.0]),
    "scalar to a reduction": lambda a: xp.mean(3.0),
    "array for a sequence of arrays": lambda a: xp.concatenate(a),
    "array as a shape": lambda a: xp.zeros(a[0, 2].astype(xp.int32)),
    "array as an axis": lambda a: xp.sum(a, axis=xp.asarray(0)),
    "array as an index in Python": lambda a: range(xp.asarray(3)),
    "hash": lambda a: hash(a),
    "where in a reduction": lambda a: a.sum(where=a > 1),
    "where in a ufunc": lambda a: xp.add(a, 1, where=a > 1),
    "initial": lambda a: xp.max(a, initial=0),
    "clip by keyword": lambda a: xp.clip(a, min=0, max=1),
    "matmul of many bfloat16": lambda a: xp.matmul(*[xp.ones((2, 2, 2), ml_dtypes.bfloat16)] * 2),
    "add.at of int64": lambda a: xp.add.at(xp.zeros(3, xp.int64), xp.asarray([0]), 1),
    "weak reference": lambda a: weakref.ref(a),
}


@pytest.mark.parametrize("use", REFUSED.values(), ids=REFUSED)
def test_refuses_with_type_error(use):
    with pytest.raises(TypeError):
        use(grid())


@pytest.mark.parametrize(
    "name", ["block", "unstack", "errstate", "float128", "object_", "RawModule"]
)
def test_lacks(name):
    with pytest.raises(AttributeError, match=name):
        getattr(xp, name)


@pytest.mark.parametrize("name", ["data", "ctypes", "resize", "setflags", "__index__", "new_name"])
def test_array_lacks(name):
    assert not hasattr(grid(), name)
    with pytest.raises(AttributeError):
        setattr(grid(), name, 1)


@pytest.mark.parametrize("dtype", [object, "U3", np.longdouble, "datetime64[s]"])
def test_refuses_dtypes_that_a_gpu_lacks(dtype):
    with pytest.raises(ValueError, match="dtype"):
        xp.asarray(np.zeros(3), dtype=dtype)


def test_ufuncs_without_atomics_have_no_at():
    with pytest.raises(NotImplementedError, match="multiply"):
        xp.multiply.at(grid(), xp.asarray([0]), 2.0)


def test_message_says_how_to_convert():
    with pytest.raises(TypeError, match=r"`\.get\(\)`"):
        np.array(grid())


@pytest.mark.parametrize(
    "reduce",
    [
        lambda a: a.sum(),
        lambda a: xp.max(a),
        lambda a: a[1, 2],
        lambda a: a[0] @ a[0],
        xp.linalg.norm,
    ],
)
def test_zero_dimensions_stay_arrays(reduce):
    result = reduce(grid())
    assert type(result) is xp.ndarray
    assert result.shape == ()
    assert type(result.item()) is float


def test_basic_indices_are_views_and_arrays_of_indices_are_copies():
    a = grid()
    a[1][2] = 50.0
    a[0, 0][...] = 40.0
    a[xp.asarray([0])][0, 1] = 99.0
    assert a.tolist() == [[40.0, 1.0, 2.0], [3.0, 4.0, 50.0]]


def test_memory_is_never_shared_with_the_host():
    source = np.zeros(3, np.float32)
    a = xp.asarray(source)
    a += 1.0
    a.get()[:] = 7.0
    xp.asnumpy(a)[:] = 7.0
    assert source.tolist() == [0.0, 0.0, 0.0]
    assert a.tolist() == [1.0, 1.0, 1.0]


def test_arrays_of_indices_wrap_around_and_scalars_do_not():
    a = grid()
    columns = xp.asarray([3, -4, 7])
    assert a[:, columns].tolist() == [[0.0, 2.0, 1.0], [3.0, 5.0, 4.0]]
    assert a[..., columns].tolist() == a.take(columns, axis=1).tolist()
    assert a[xp.asarray([2]), xp.asarray([4])].tolist() == [1.0]
    assert xp.take_along_axis(a, xp.asarray([[3], [5]]), 1).tolist() == [[0.0], [5.0]]
    a[xp.asarray([2])] = 9.0
    assert a[0].tolist() == [9.0, 9.0, 9.0]
    with pytest.raises(IndexError):
        a[2]


def test_host_indices_are_taken_as_cupy_takes_them():
    a = grid()
    assert a[np.array([1, 0])].tolist() == a[[1, 0]].tolist() == [[3, 4, 5], [0, 1, 2]]


def test_add_at_adds_repeated_indices():
    a = xp.zeros(3, xp.float32)
    xp.add.at(a, xp.asarray([0, 2, 0, 3]), xp.asarray(np.float32([1, 2, 4, 8])))
    assert a.tolist() == [13.0, 0.0, 2.0]


def test_empty_is_rubbish():
    assert xp.isnan(xp.empty((2, 2), xp.float32)).all()
    assert (xp.empty_like(grid(), dtype=xp.int32) == xp.iinfo(xp.int32).max).all()


def test_python_scalars_keep_the_dtype_and_numpy_scalars_count():
    half = xp.ones(3, xp.float16)
    assert (half * 2.0).dtype == (2.0 * half).dtype == xp.float16
    assert (half * np.float32(2.0)).dtype == (np.float32(2.0) * half).dtype == xp.float32


def test_out_is_returned_itself():
    a = grid()
    out = xp.empty_like(a)
    assert xp.exp(a, out=out) is out
    assert xp.exp(a, out) is out
    total = xp.empty((), xp.float32)
    assert a.sum(out=total) is total
    assert total.item() == 15.0


def test_operators_leave_unknown_types_to_the_other_side():
    class Other:
        __array_ufunc__ = None

        def __radd__(self, array):
            return "radd"

    assert grid() + Other() == "radd"


def test_divisions_by_zero_are_silent():
    assert xp.isinf(1.0 / xp.zeros(2)).all()


def test_copies_are_independent():
    a = grid()
    for other in (copy.copy(a), copy.deepcopy(a), a.copy(), xp.array(a)):
        other[...] = 0.0
    assert a.sum().item() == 15.0


ELEMENTWISE = ["exp", "tanh", "negative", "sqrt", "isfinite", "sign", "floor", "square"]
REDUCTIONS = ["sum", "mean", "max", "argmax", "std", "prod", "all"]


@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=3), elements=st.floats(0, 4, width=32)))
def test_computes_what_numpy_computes(values):
    a = xp.asarray(values)
    for name in ELEMENTWISE:
        np.testing.assert_array_equal(getattr(xp, name)(a).get(), getattr(np, name)(values))
    for name in REDUCTIONS:
        expected = getattr(np, name)(values, axis=-1)
        np.testing.assert_array_equal(getattr(xp, name)(a, axis=-1).get(), expected)
        np.testing.assert_array_equal(getattr(a, name)(axis=-1).get(), expected)
    np.testing.assert_array_equal(
        xp.tensordot(a, a, a.ndim).get(), np.tensordot(values, values, a.ndim)
    )
    np.testing.assert_array_equal(xp.where(a > 1, a, 0.0).get(), np.where(values > 1, values, 0))
    np.testing.assert_array_equal(xp.concatenate([a, a]).get(), np.concatenate([values, values]))


def parameters(function: object) -> list[str] | None:
    """The names of the arguments of one of CuPy's functions; None where it does not tell."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return None
    return None if "kwargs" in names else names


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    remaining = iter(whole)
    return all(name in remaining for name in part)


@pytest.mark.parametrize("table", ["FUNCTIONS", "LINALG", "METHODS"])
def test_tables_are_cupys(table):
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)
    home = {"FUNCTIONS": cupy, "LINALG": cupy.linalg, "METHODS": cupy.ndarray}[table]
    differing = {
        name: (list(signature.parameters), theirs)
        for name, signature in parse(getattr(tables, table)).items()
        if (theirs := parameters(getattr(home, name))) is not None
        and not is_subsequence(list(signature.parameters), theirs)
    }
    assert differing == {}


def test_nothing_exists_that_cupy_lacks():
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)
    ours = {"functions", "tables"}
    names = [name for name in vars(xp) if not name.startswith("_") and name not in ours]
    assert [name for name in names if not hasattr(cupy, name)] == []
    methods = [name for name in dir(xp.ndarray) if name not in ("_host", "__annotations__")]
    assert [name for name in methods if not hasattr(cupy.ndarray, name)] == []

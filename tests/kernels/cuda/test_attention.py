"""Attention and its gradients: the kernels against the reference."""

import numpy as np
import pytest

from tests.cuda_on_cpu import SCHEDULES, scheduled
from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import (
    assert_close,
    assert_cuda_agrees,
    dtype_of,
    guarded_results,
    launcher_of,
    numbers,
    results_of,
)
from tinynn.backend.kernel_table import reference_of

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

DTYPES = ("float32", "float16", "bfloat16")
RANDOM = {"p": 0.3, "seed": 2**40 + 7, "stream": 3, "step": 11, "offset": 5}


def three(
    batch=2, heads=2, kv_heads=1, queries=37, keys=70, width=20, value_width=12, dtype="float32"
):
    query = numbers(batch, heads, queries, width, dtype=dtype)
    key = numbers(batch, kv_heads, keys, width, dtype=dtype, seed=1)
    value = numbers(batch, kv_heads, keys, value_width, dtype=dtype, seed=2)
    return query, key, value


def with_gradient(arrays, attributes):
    """The arguments of attention_backward, for a gradient at random."""
    out, lse = results_of(reference_of("attention"), "attention", arrays, attributes)
    return (numbers(*out.shape, seed=3).astype(out.dtype), *arrays, out, lse)


def assert_agrees(query, key, value, mask=None, *, factor=4.0, **attributes):
    """Forward and backward, in every order of the threads."""
    attributes.setdefault("scale", query.shape[-1] ** -0.5)
    given = (query, key, value, mask)
    assert_cuda_agrees("attention", *given, factor=factor, **attributes)
    given = with_gradient(given, attributes)
    assert_cuda_agrees("attention_backward", *given, factor=4 * factor, **attributes)


def reduced():
    attributes = {"scale": 0.2, "is_causal": True, "window": 30, "sinks": 2, **RANDOM}
    assert_agrees(*three(1, 2, 1, 40, 70), **attributes)
    # Tensor cores, and so no run with addresses that are not multiples of 16.
    given = (*three(1, 1, 1, 100, 100, 24, 16, "float16"), None)
    for name, arrays in (
        ("attention", given),
        ("attention_backward", with_gradient(given, attributes)),
    ):
        expected = results_of(reference_of(name), name, arrays, attributes)
        for schedule in SCHEDULES:
            with scheduled(*schedule):
                found = guarded_results(name, arrays, attributes)
            for actual, wanted in zip(found, expected, strict=True):
                assert_close(actual, wanted, 16)


FAULTS = [
    Fault(
        "no wait for the copies of a tile",
        "wait_for_copies<0>();\n    __syncthreads();  // all have",
        "wait_for_copies<1>();\n    __syncthreads();  // all have",
        "results",
    ),
    Fault(
        "no barrier before another warp's copies are read",
        "__syncthreads();  // all have copied",
        "// all have copied",
        "results",
    ),
    Fault(
        "sums are not scaled down for a higher score",
        "sums[i] *= shrink;",
        "sums[i] *= 1.f;",
        "results",
    ),
    Fault("the window is one longer", "column <= row - window", "column < row - window", "results"),
    Fault(
        "random numbers of another head",
        "first_weight + (long long)row",
        "(long long)row",
        "results",
    ),
    Fault(
        "lanes do not wait for the weights of their row",
        "__syncwarp();  // the four lanes of a row have its weights",
        "// the four lanes of a row have its weights",
        "results",
    ),
    Fault(
        "rows behind the last are read",
        "const int size = first + row < count ?",
        "const int size = true ?",
        "results",
    ),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causality", [{}, {"is_causal": True}], ids=["all", "causal"])
def test_agrees_with_the_reference(causality, dtype):
    assert_agrees(*three(dtype=dtype), **causality)
    assert_agrees(*three(1, 1, 1, 66, 33, 64, 64, dtype), **causality)
    if dtype != "float32" and causality:
        assert_agrees(*three(1, 2, 1, 70, 150, 96, 120, dtype), **causality)


@pytest.mark.parametrize(
    ("heads", "kv_heads", "queries", "keys", "width", "value_width"),
    [
        (1, 1, 1, 1, 1, 1),
        (1, 1, 3, 5, 7, 130),
        (2, 1, 33, 17, 128, 96),
        (3, 1, 18, 40, 256, 200),
        (4, 1, 5, 64, 65, 3),
    ],
)
def test_sizes_that_do_not_fill_tiles(heads, kv_heads, queries, keys, width, value_width):
    assert_agrees(*three(1, heads, kv_heads, queries, keys, width, value_width))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("window", "sinks"), [(2, 0), (5, 3), (40, 0), (20, 40), (200, 2)])
def test_windows_and_sinks(window, sinks, dtype):
    arrays = three(1, 1, 1, 140, 130, 16, 16, dtype)
    assert_agrees(*arrays, is_causal=True, window=window, sinks=sinks)


def test_a_query_that_sees_itself_alone_gets_its_value():
    query, key, value = three(1, 2, 2, 40, 40)
    out, _ = launcher_of("attention")(query, key, value, None, scale=1.0, is_causal=True, window=1)
    np.testing.assert_array_equal(out, value)


@pytest.mark.parametrize("shape", [(2, 2, 37, 70), (1, 1, 37, 70), (2, 1, 1, 70), (1, 2, 37, 1)])
def test_masks(shape):
    rng = np.random.default_rng(0)
    allowed = rng.random(shape) < 0.6
    allowed[..., :2, :] = False  # queries that see nothing, where the mask tells queries apart
    assert_agrees(*three(), allowed)
    added = 2 * rng.standard_normal(shape).astype(np.float32)
    added[rng.random(shape) < 0.2] = -np.inf
    assert_agrees(*three(), added)
    assert_agrees(*three(dtype="float16"), added.astype(np.float16))
    assert_agrees(*three(width=24, value_width=16, dtype="float16"), allowed)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_drops_the_weights_that_the_reference_drops(dtype):
    arrays = three(2, 2, 1, 19, 35, 24, 16, dtype=dtype)
    assert_agrees(*arrays, **RANDOM)
    assert_agrees(*arrays, is_causal=True, **{**RANDOM, "step": np.array([2**33 + 1])})
    assert_agrees(*arrays, **{**RANDOM, "p": 1.0})


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_scores(dtype):
    query, key, value = three(1, 2, 1, 37, 70, 24, 16, dtype)
    assert_agrees(query, key, value, scale=1e-3)
    # A few keys have all the weight, and rounding of scores of some hundreds shows in weights.
    assert_cuda_agrees("attention", query, key, value, None, scale=100.0, factor=100)


def test_nan_in_a_query_stays_in_its_row():
    query, key, value = three(1, 2, 1, 40)
    query[0, 1, 3, 2] = np.nan
    out, lse = launcher_of("attention")(query, key, value, None, scale=1.0)
    bad = np.isnan(out)
    assert bad[0, 1, 3].all()
    assert bad.sum() == bad[0, 1, 3].size
    assert np.isnan(lse).sum() == 1


def test_what_is_not_taken():
    attend, backward = launcher_of("attention"), launcher_of("attention_backward")
    query, key, value = three()
    out, lse = attend(query, key, value, None, scale=1.0)
    wide = three(1, 1, 1, 2, 2, 257, 4)
    for wrong in (
        [array.astype(np.float64) for array in (query, key, value)],
        (query[..., ::-1], key, value),
        (query, key[:, :, :0], value[:, :, :0]),
        (query, key.astype(np.float16), value),
        wide,
    ):
        assert attend(*wrong, None, scale=1.0) is NotImplemented
    strange = np.zeros((1, 1, 1, 70), np.int32)
    assert attend(query, key, value, strange, scale=1.0) is NotImplemented
    wrong = out.astype(dtype_of("float16"))
    assert backward(wrong, query, key, value, None, out, lse, scale=1.0) is NotImplemented

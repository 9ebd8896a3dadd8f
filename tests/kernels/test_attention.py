"""Attention in blocks against attention with the whole matrix of scores."""

import tracemalloc

import ml_dtypes
import numpy as np
import pytest

import tinynn as tn
from tests.kernels.comparison import DTYPES, assert_same, kernel_of, run_both

# batch, heads, kv_heads, queries, keys, width, width of values
SHAPES = [(2, 4, 2, 70, 130, 32, 48), (1, 2, 2, 33, 5, 16, 16), (2, 3, 1, 64, 64, 64, 32)]
SQUARE = (1, 2, 1, 200, 200, 32, 32)
# Widths of no whole vectors, on all processors or on some.
ODD_WIDTHS = [(1, 1), (1, 20), (5, 5), (8, 8), (16, 7), (20, 20), (20, 64), (40, 33), (80, 40)]
DROPOUT = {"p": 0.3, "seed": 2**40 + 5, "stream": 3, "step": 7, "offset": 2}
SIGHTS = {
    "all": {},
    "causal": {"is_causal": True},
    "window": {"is_causal": True, "window": 20, "sinks": 3},
    "long window": {"is_causal": True, "window": 70},
    "sinks of a block and more": {"is_causal": True, "window": 1, "sinks": 66},
    "dropout": DROPOUT,
    "causal dropout": {"is_causal": True, **DROPOUT},
}


def arguments(shape, dtype):
    batch, heads, kv_heads, queries, keys, width, value_width = shape
    rng = np.random.default_rng(0)
    return [
        rng.standard_normal(size).astype(dtype)
        for size in (
            (batch, heads, queries, width),
            (batch, kv_heads, keys, width),
            (batch, kv_heads, keys, value_width),
        )
    ]


def check(query, key, value, mask, **options):
    """The results and the gradients, which are sums of more products and so of more roundings."""
    options = {"scale": 0.2, **options}
    (out, lse), expected = run_both("attention", query, key, value, mask, **options)
    assert_same(out, expected[0])
    assert_same(lse, expected[1].astype(lse.dtype))
    g = np.random.default_rng(1).standard_normal(out.shape).astype(out.dtype)
    for ours, theirs in zip(
        *run_both("attention_backward", g, query, key, value, mask, out, lse, **options),
        strict=True,
    ):
        assert_same(ours, theirs, factor=4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("shape", [*SHAPES, SQUARE], ids=str)
def test_kernel_agrees_with_reference(shape, sight, dtype):
    check(*arguments(shape, dtype), None, **SIGHTS[sight])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sight", ["all", "window", "causal dropout"])
@pytest.mark.parametrize("widths", ODD_WIDTHS, ids=str)
def test_all_widths_agree_with_reference(widths, sight, dtype):
    given = arguments((2, 4, 2, 70, 130, *widths), dtype)
    mask = np.random.default_rng(2).random((2, 1, 70, 130)) < 0.7
    check(*given, None, **SIGHTS[sight])
    check(*given, mask, **SIGHTS[sight])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["bool", "numbers", "one row", "shared by all"])
def test_masks(kind, dtype):
    given, rng = arguments(SHAPES[0], dtype), np.random.default_rng(2)
    mask = {
        "bool": rng.random((2, 1, 70, 130)) < 0.7,
        "numbers": rng.standard_normal((1, 4, 70, 130)).astype(dtype),
        "one row": rng.random((2, 1, 1, 130)) < 0.7,
        "shared by all": np.float32(rng.standard_normal((70, 130)))[None, None],
    }[kind]
    if mask.dtype == bool:
        mask[0, ..., 0, :] = False  # sees nothing
    check(*given, mask)


def test_a_query_that_sees_nothing_reads_nothing():
    query, key, value = arguments(SHAPES[0], "float32")
    key[:, :, 100:], value[:, :, 100:] = 1e30, np.inf
    mask = np.arange(130)[None, None, None] < 0
    out, lse = kernel_of("attention")(query, key[:, :, :100].copy(), value[:, :, :100].copy(),
                                      mask[..., :100], scale=1.0)  # fmt: skip
    assert (out == 0).all()
    assert np.isneginf(lse).all()


@pytest.mark.parametrize("size", [2.0**13, 2.0**60])
def test_large_scores(size):
    query, key, value = arguments(SHAPES[2], "float32")
    query[:] = np.sign(query)
    key[:] = size * np.sign(key)
    out, lse = kernel_of("attention")(query, key, value, None, scale=0.25)
    scores = query.astype(float) @ key.astype(float).swapaxes(-1, -2) * 0.25
    weights = scores == scores.max(axis=-1, keepdims=True)  # ties share, all others are nothing
    expected = (weights / weights.sum(axis=-1, keepdims=True)) @ value.astype(float)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(lse, scores.max(axis=-1), rtol=1e-3)


def test_threads_do_not_change_a_bit():
    query, key, value = arguments((2, 4, 2, 300, 300, 32, 32), "float32")
    found, before = [], tn.get_num_threads()
    for threads in (1, 2):
        tn.set_num_threads(threads)
        out, lse = kernel_of("attention")(query, key, value, None, scale=0.2, is_causal=True)
        gradients = kernel_of("attention_backward")(
            out, query, key, value, None, out, lse, scale=0.2, is_causal=True
        )
        found.append((out, lse, *gradients))
    tn.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
@pytest.mark.parametrize("widths", [(32, 48), (20, 9)], ids=str)
def test_16_bits_are_computed_with_in_32(widths, dtype):
    """The reference widens, too; a result may be rounded to the other of two neighbours."""
    given = arguments((2, 4, 2, 70, 130, *widths), dtype)
    mask = np.random.default_rng(3).standard_normal((2, 1, 70, 130)).astype(dtype)
    (out, lse), expected = run_both("attention", *given, mask, scale=0.2)
    assert out.dtype == expected[0].dtype == dtype
    neighbours = 2 * float(ml_dtypes.finfo(dtype).eps)
    np.testing.assert_allclose(out.astype(float), expected[0].astype(float), neighbours, 1e-6)
    np.testing.assert_allclose(lse, expected[1], rtol=1e-6)
    g = np.random.default_rng(1).standard_normal(out.shape).astype(dtype)
    found = run_both("attention_backward", g, *given, mask, out, lse, scale=0.2)
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == theirs.dtype == dtype
        size = np.abs(theirs.astype(float)).max()
        np.testing.assert_allclose(
            ours.astype(float), theirs.astype(float), neighbours, neighbours * 1e-3 * size
        )


def test_no_matrix_of_all_scores_is_in_memory():
    query, key, value = arguments((1, 1, 1, 4096, 4096, 20, 20), "float32")
    attend, attend_backward = kernel_of("attention"), kernel_of("attention_backward")
    tracemalloc.start()
    out, lse = attend(query, key, value, None, scale=0.2)
    attend_backward(out, query, key, value, None, out, lse, scale=0.2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * query.nbytes < 4096 * 4096


@pytest.mark.parametrize("widths", [(32, 48), (20, 9)], ids=str)
def test_results_are_written_where_they_are_asked_for(widths):
    for dtype in ("float32", "float16"):
        query, key, value = arguments((2, 4, 2, 70, 130, *widths), dtype)
        out = np.full((*query.shape[:3], value.shape[3]), 7, dtype)
        found, _ = kernel_of("attention")(query, key, value, None, scale=0.2, out=out)
        assert found is out
        expected, _ = kernel_of("attention")(query, key, value, None, scale=0.2)
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("widths", [(32, 48), (20, 9)], ids=str)
def test_axes_may_have_been_moved(widths):
    given = arguments((2, 4, 2, 70, 130, *widths), "float32")
    moved = [x.swapaxes(1, 2).copy().swapaxes(1, 2) for x in given]
    results = []
    for query, key, value in (given, moved):
        out, lse = kernel_of("attention")(query, key, value, None, scale=0.2)
        g = out if query is given[0] else out.swapaxes(1, 2).copy().swapaxes(1, 2)
        gradients = kernel_of("attention_backward")(g, query, key, value, None, out, lse, scale=0.2)
        results.append((out, lse, *gradients))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_the_kernel_does_not_take_is_left_to_the_reference():
    query, key, value = arguments(SHAPES[1], "float32")
    attend = kernel_of("attention")
    assert attend(query.astype(float), key, value, None, scale=1.0) is NotImplemented
    assert attend(query[:, :, :31], key, value, None, scale=1.0) is NotImplemented
    assert attend(query, key[:, :, :0], value[:, :, :0], None, scale=1.0) is NotImplemented
    assert attend(query[..., :0], key[..., :0], value, None, scale=1.0) is NotImplemented

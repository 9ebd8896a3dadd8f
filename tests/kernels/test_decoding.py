"""Attention to a cache in blocks: the kernel against the reference, where it has work to share.

tests/ops/test_decoding.py holds both to attention in float64, in every dtype and shape.
"""

import numpy as np
import pytest

import tinynn as tn
from tests.kernels.comparison import kernel_of
from tinynn.backend.kernel_table import reference_of


def arguments(lengths, counts, heads, kv_heads, width=64, size=16, seed=0):
    rng = np.random.default_rng(seed)
    most = -(-max(lengths) // size)
    shape = (most * len(lengths), kv_heads, size, width)
    keys, values = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    tables = rng.permutation(shape[0]).astype(np.int32).reshape(len(lengths), most)
    query = rng.standard_normal((sum(counts), heads, width)).astype(np.float32)
    starts = np.cumsum([0, *counts]).astype(np.int32)
    return query, starts, keys, values, None, None, tables, np.array(lengths, np.int32)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = tn.get_num_threads()
    tn.set_num_threads(request.param)
    yield request.param
    tn.set_num_threads(before)


@pytest.mark.parametrize(
    ("lengths", "counts", "heads", "kv_heads"),
    [
        ([5000], [1], 4, 1),  # one item, cut into pieces
        ([700, 2000, 90], [1, 1, 1], 12, 3),  # three items for two threads
        ([600, 600], [40, 3], 8, 2),  # more rows than a panel
        ([900], [30], 64, 4),  # heads one by one
    ],
)
@pytest.mark.parametrize("window", [None, 200])
def test_pieces_panels_and_heads(lengths, counts, heads, kv_heads, window, threads):
    given = arguments(lengths, counts, heads, kv_heads)
    options = {"scale": 0.2, "window": window, "sinks": 5 if window else 0}
    out, lse = kernel_of("decode_attention")(*given, **options)
    expected, expected_lse = reference_of("decode_attention")(*given, **options)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(lse, expected_lse, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_results_are_written_where_they_are_asked_for(dtype):
    query, *rest = arguments([3000, 40], [1, 1], 4, 2)
    query = query.astype(dtype)
    out = np.full(query.shape, 7, dtype)
    found, _ = kernel_of("decode_attention")(query, *rest, scale=0.1, out=out)
    assert found is out
    expected, _ = kernel_of("decode_attention")(query, *rest, scale=0.1)
    np.testing.assert_array_equal(out, expected)


def test_what_the_kernel_does_not_take_is_left_to_the_reference():
    query, starts, keys, *rest = arguments([40], [1], 2, 2)
    decode = kernel_of("decode_attention")
    turned = np.asfortranarray(keys)
    assert decode(query, starts, turned, *rest, scale=1.0) is NotImplemented
    assert decode(query.astype(float), starts, keys, *rest, scale=1.0) is NotImplemented

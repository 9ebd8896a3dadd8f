"""Merging parts of an attention: the kernel against the reference, and what empty parts are."""

import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, assert_kernel_agrees, kernel_of
from tinynn.backend.kernel_table import reference_of


def parts(shape, dtype):
    rng = np.random.default_rng(0)
    outs = rng.standard_normal(shape).astype(dtype)
    return outs, (4 * rng.standard_normal(shape[:-1])).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 5), (2, 1, 1), (3, 4, 7, 16), (2, 0, 8), (9, 700, 64)])
def test_kernel_agrees_with_reference(shape, dtype):
    assert_kernel_agrees("merge_attention", *parts(shape, dtype))


@pytest.mark.parametrize("find", [kernel_of, reference_of])
def test_empty_parts_count_for_nothing_whatever_they_hold(find):
    outs, lses = parts((3, 4, 5), "float32")
    lses[1, 0] = lses[:2, 1] = lses[:, 2] = -np.inf
    outs[np.isneginf(lses)] = np.nan
    with np.errstate(divide="ignore"):
        out, lse = find("merge_attention")(outs, lses)
    pair, pair_lse = find("merge_attention")(outs[::2, :1].copy(), lses[::2, :1].copy())
    np.testing.assert_allclose(out[0], pair[0], rtol=1e-6)
    np.testing.assert_allclose(lse[0], pair_lse[0], rtol=1e-6)
    np.testing.assert_allclose(out[1], outs[2, 1], rtol=1e-6)
    np.testing.assert_array_equal(out[2], 0)
    assert np.isneginf(lse[2])


def test_no_score_is_too_high_or_too_low():
    outs = np.array([[[1.0]], [[3.0]]], np.float32)
    for size in (3e38, -3e38):
        out, lse = kernel_of("merge_attention")(outs, np.full((2, 1), size, np.float32))
        np.testing.assert_allclose(out, [[2.0]])
        np.testing.assert_allclose(lse, [size], rtol=1e-6)

"""Merging parts of an attention: the kernel against the reference, and parts against the whole."""

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import (
    DTYPES,
    assert_cuda_agrees,
    dtype_of,
    launcher_of,
    numbers,
)

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")


def parts(*shape, dtype="float32", spread=3.0):
    """Results and the logarithms of their sums; some parts are empty, with NaN for a result."""
    outs = numbers(*shape, dtype=dtype)
    lses = (spread * numbers(*shape[:-1], dtype="float64", seed=1)).astype(
        "float64" if dtype == "float64" else "float32"
    )
    empty = np.random.default_rng(2).random(shape[:-1]) < 0.3
    lses[empty] = -np.inf
    outs[empty] = np.nan
    return outs, lses


def reduced():
    assert_cuda_agrees("merge_attention", *parts(3, 4, 6), factor=2)


FAULTS = [
    Fault("an empty part is looked at", "if (weight == Wide(0)) continue;", "", "results"),
    Fault(
        "parts lie one column apart",
        "+ row) * width + column, size",
        "+ row) * width, size",
        "results",
    ),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 3, 8), (2, 5, 64), (7, 2, 3, 20), (3, 4, 7), (40, 9, 1)])
def test_agrees_with_the_reference(shape, dtype):
    assert_cuda_agrees("merge_attention", *parts(*shape, dtype=dtype), factor=2)


def test_parts_of_very_different_weight():
    outs, lses = parts(5, 6, 16, spread=3e4)
    assert_cuda_agrees("merge_attention", outs, lses, factor=2)
    lses[:, 2] = -np.inf
    out, lse = launcher_of("merge_attention")(outs, lses)
    assert not out[2].any()
    assert np.isneginf(lse[2])


def test_one_part_stays_as_it_is():
    outs, lses = numbers(1, 6, 16), numbers(1, 6, seed=1)
    out, lse = launcher_of("merge_attention")(outs, lses)
    np.testing.assert_array_equal(out, outs[0])
    np.testing.assert_array_equal(lse, lses[0])


def test_what_is_not_taken():
    merge = launcher_of("merge_attention")
    outs, lses = parts(2, 3, 4)
    assert merge(outs[..., ::-1], lses) is NotImplemented
    assert merge(outs, lses.astype(np.float64)) is NotImplemented
    assert merge(outs[:, :0], lses[:, :0]) is NotImplemented
    assert merge(outs, lses, out=np.zeros((3, 4), dtype_of("float16"))) is NotImplemented

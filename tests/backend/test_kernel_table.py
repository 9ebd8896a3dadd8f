"""The kernel table: what it finds, and when it falls back to the references."""

import subprocess
import sys

import numpy as np
import pytest

from tests import fake_cupy
from tests.kernels.comparison import assert_same, kernel_of
from tinynn.backend import kernel_table
from tinynn.backend.kernel_table import FAMILIES, KernelTable, reference_of, table_for
from tinynn.backend.warm_up import warm_up


def numbers(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


# Arguments for every kernel, small and of any float dtype.
X, WEIGHT, ROW = numbers(6, 4), numbers(3, 4), numbers(4)
IMAGE, FILTERS = numbers(2, 2, 5, 4), numbers(3, 2, 3, 2)
CONVOLUTION = {"stride": (2, 1), "padding": (1, 0, 1, 1), "dilation": (1, 2), "groups": 1}
POOLING = {"window": (3, 2), "stride": (2, 2), "padding": (1, 0), "dilation": (1, 1)}
QUERY, KEY = numbers(1, 2, 3, 4), numbers(1, 1, 5, 4)
SEEN = np.arange(15).reshape(1, 1, 3, 5) % 4 > 0
TURN = np.cos(numbers(6, 1)), np.sin(numbers(6, 1))
CACHE = np.zeros((2, 2, 4, 2), np.int8), np.zeros((2, 2, 4), np.float32)
BLOCKS = np.random.default_rng(1).integers(0, 59, (1, 1, 320), dtype=np.uint8)  # float16 below 1
CALLS = {
    "linear_activation": ((X, WEIGHT, ROW[:3]), {"activation": "gelu"}),
    "activation_backward": ((X, X[::-1]), {"activation": "elu", "parameter": 1.0}),
    "gated_activation": ((X,), {"activation": "silu"}),
    "conv2d": ((IMAGE, FILTERS, ROW[:3]), CONVOLUTION),
    "conv2d_input_gradient": ((numbers(2, 3, 2, 4), FILTERS), CONVOLUTION | {"size": (5, 4)}),
    "conv2d_weight_gradient": ((numbers(2, 3, 2, 4), IMAGE), CONVOLUTION | {"window": (3, 2)}),
    "max_pool2d": ((IMAGE,), POOLING | {"size": (3, 2)}),
    "max_pool2d_backward": (
        (IMAGE[..., :2, :2], np.arange(16).reshape(2, 2, 2, 2)),
        {"size": (4, 4)},
    ),
    "softmax_cross_entropy": ((X, np.arange(6) % 4, np.abs(ROW)), {"label_smoothing": 0.1}),
    "softmax": ((X,), {}),
    "softmax_backward": ((X[::-1], np.abs(X)), {}),
    "attention": ((QUERY, KEY, KEY[..., ::-1], SEEN), {"scale": 0.5, "p": 0.3, "seed": 2**40}),
    "attention_backward": (
        (QUERY[..., ::-1], QUERY, KEY, KEY[..., ::-1], SEEN * ROW[0], QUERY, QUERY[..., 0] + 2),
        {"scale": 0.5, "is_causal": True, "window": 2, "sinks": 1},
    ),
    "decode_attention": (
        (
            numbers(4, 2, 32),
            np.array([0, 1, 4], np.int32),
            *(numbers(2, 3, 1, 16, 32)),
            None,
            None,
            np.array([[2, -1], [0, 1]], np.int32),
            np.array([5, 20], np.int32),
        ),
        {"scale": 0.5, "window": 9, "sinks": 2},
    ),
    "merge_attention": ((numbers(3, 2, 4), numbers(3, 2)), {}),
    "layer_norm": ((X, ROW, ROW), {"eps": 1e-5}),
    "layer_norm_backward": ((X[::-1], X, ROW, X[:, 0], np.abs(X[:, 1])), {}),
    "rms_norm": ((X, ROW), {"eps": 1e-5}),
    "rms_norm_backward": ((X[::-1], X, ROW, np.abs(X[:, 1])), {}),
    "rope": ((X, *TURN), {"interleaved": False}),
    "append_kv": (
        (
            X.reshape(6, 2, 2),
            X[::-1].reshape(6, 2, 2),
            np.array([3, 0, -1, 7, 2, 1]),
            *TURN,
            *(array.copy() for array in CACHE for _ in range(2)),
        ),
        {"interleaved": True},
    ),
    "sgd_step": ((X[0], X[1], X[2]), {"lr": 0.1, "momentum": 0.9}),
    "adamw_step": ((X[0], X[1], X[2], X[3] ** 2, X[4] ** 2), {"lr": 0.1, "step": 2}),
    "dropout": ((X,), {"p": 0.5, "key": 2**40, "stream": 1, "step": 2, "offset": 3}),
    "index_add": ((X, np.array([1, 5, 1]), X[:3]), {}),
    "erf": ((X,), {}),
    "affine_resample": (
        (
            np.arange(25, dtype=np.uint8).reshape(1, 5, 5),
            np.array([[[0.9, 0.3, 0.2], [-0.3, 0.8, 1.1]]], np.float32),
        ),
        {},
    ),
    "quantized_linear": ((X, BLOCKS, None, ROW[:3]), {"outputs": 3}),
    "quantized_rows": ((np.array([2, 0]), BLOCKS, None), {"outputs": 3, "columns": 4}),
    "half_linear": ((X, WEIGHT.astype(np.float16), ROW[:3]), {}),
}


def each(arrays, convert):
    """The arrays converted; None stands for none."""
    return [None if array is None else convert(array) for array in arrays]


def results(function, arrays, attributes, places):
    """What a call returns and changes, as NumPy arrays."""
    returned = function(*arrays, **attributes)
    returned = returned if type(returned) is tuple else (returned,)
    changed = [arrays[place] for place in places if place < len(arrays)]
    found = [array for array in (*returned, *changed) if array is not None]
    return [fake_cupy.asnumpy(a) if type(a) is fake_cupy.ndarray else a for a in found]


def test_every_kernel_has_arguments_here():
    assert list(CALLS) == list(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_reference_runs_on_the_fake_of_cupy(name):
    arrays, attributes = CALLS[name]
    places = table_for("numpy").mutates(name)
    ours = results(
        getattr(table_for("fake"), name),
        each(arrays, lambda array: fake_cupy.asarray(np.ascontiguousarray(array))),
        attributes,
        places,
    )
    copies = each(arrays, np.array)
    theirs = results(getattr(table_for("numpy"), name), copies, attributes, places)
    for actual, expected in zip(ours, theirs, strict=True):
        if expected.dtype == np.uint8:  # halves are rounded either way
            assert np.abs(actual.astype(int) - expected).max() <= 1
        else:
            assert_same(np.asarray(actual), np.asarray(expected), factor=4)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "affine_resample"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_floats_are_computed_in_float32(name, dtype):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    small = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    arrays, attributes = CALLS[name]
    halves = each(arrays, lambda a: a.astype(small) if a.dtype == np.float32 else np.array(a))
    singles = each(halves, lambda a: a.astype(np.float32) if a.dtype == small else np.array(a))
    function, places = getattr(table_for("numpy"), name), table_for("numpy").mutates(name)
    with np.errstate(all="ignore"):
        ours = results(function, halves, attributes, places)
        theirs = results(function, singles, attributes, places)
    size = 2.0 ** (-8 if dtype == "bfloat16" else -10)
    for actual, expected in zip(ours, theirs, strict=True):
        assert actual.dtype in (small, expected.dtype)
        np.testing.assert_allclose(
            actual.astype(np.float32), expected, rtol=2 * size, atol=size * np.abs(expected).max()
        )


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_kernel_changes_is_declared(name):
    arrays, attributes = CALLS[name]
    for table, wrap in [("numpy", np.array), ("fake", fake_cupy.asarray)]:
        given = each(arrays, lambda array, wrap=wrap: wrap(np.ascontiguousarray(array)))
        getattr(table_for(table), name)(*given, **attributes)
        for place, (before, after) in enumerate(zip(arrays, given, strict=True)):
            if before is None:
                continue
            after = fake_cupy.asnumpy(after) if table == "fake" else after
            changed = not np.array_equal(before, after)
            assert changed == (place in table_for(table).mutates(name))


def test_kernels_and_references_have_the_same_signature():
    from inspect import signature

    for name in FAMILIES:
        ours = signature(kernel_of(name)).parameters.values()
        theirs = signature(reference_of(name)).parameters.values()
        ours, theirs = ([(p.name, p.kind, p.default) for p in found] for found in (ours, theirs))
        assert ours == theirs, name


def test_layouts_and_dtypes_that_kernels_do_not_take_still_work():
    x = numbers(8, 6)[::2, ::-1]
    np.testing.assert_allclose(table_for("numpy").erf(x), table_for("numpy").erf(x.copy()), 1e-6)


def test_no_warnings_for_infinity_and_nan():
    with np.errstate(all="raise"):
        x = np.array([[np.inf, 0.0], [np.nan, 1e30]])[:, ::-1]
        loss, _ = table_for("numpy").softmax_cross_entropy(x, np.array([0, 1]), None)
    assert np.isnan(loss)


def test_an_unknown_kernel():
    with pytest.raises(AttributeError, match="no kernel is named 'relu6'; there are linear_act"):
        table_for("numpy").relu6  # noqa: B018


@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [
        ("sys.modules['numba'] = None", "import of numba halted; None in sys.modules"),
        ("os.environ['NUMBA_DISABLE_JIT'] = '1'", "NUMBA_DISABLE_JIT is set"),
    ],
)
def test_without_numba_the_references_do_the_work(obstacle, reason):
    program = f"""
import os, sys, warnings
{obstacle}
import numpy as np
import tinynn
from tinynn.backend.kernel_table import kernel_cache, table_for
from tinynn.backend.threads import threading_layer
from tinynn.backend.warm_up import warm_up
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    out = table_for("numpy").erf(np.array([0.5]))
    table_for("numpy").linear_activation(np.ones((1, 2)), np.ones((1, 2)), None, activation=None)
    table_for("numpy").erf(np.array([0.5]))
    warm_up(print)
assert abs(out[0] - 0.5204998778130465) < 1e-15
assert threading_layer() == "serial" and kernel_cache() == (None, False)
print(len(caught), caught[0].message)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout == (
        f"1 the compiled kernels cannot be loaded ({reason}); "
        "plain array operations take their place, more slowly\n"
    )


def test_a_kernel_that_cannot_be_compiled_is_replaced(monkeypatch):
    from numba.core.errors import TypingError

    calls = []

    def broken(x, *, out=None):
        calls.append(1)
        raise TypingError("no such type\nand much more")

    table = KernelTable("cpu")
    monkeypatch.setattr(table, "_kernel", lambda name: broken)
    with pytest.warns(RuntimeWarning, match=r"kernel erf cannot be compiled \(.*no such type\);"):
        np.testing.assert_allclose(table.erf(np.zeros(2)), [0, 0])
    np.testing.assert_allclose(table.erf(np.zeros(2)), [0, 0])
    assert calls == [1]


def test_warm_up_reports_only_what_it_compiles(monkeypatch):
    lines = []
    everything = {"optimizer": "adamw", "convolution": True, "dropout": True, "augment": True}
    monkeypatch.setattr("tinynn.backend.warm_up.kernel_cache", lambda: (None, True))
    warm_up(lines.append, **everything)
    assert lines[0] == "compiling CPU kernels, once: linear_activation (1 of 11)"
    assert lines[-1] == "compiling CPU kernels, once: affine_resample (11 of 11)"
    monkeypatch.setattr("tinynn.backend.warm_up.kernel_cache", lambda: ("folder", False))
    warm_up(lines.append, **everything)
    assert len(lines) == 11


def test_kernel_cache_is_the_users(monkeypatch, tmp_path):
    from tinynn.backend.user_cache import cache_folder

    folder, empty = kernel_table.kernel_cache()
    if folder is not None:
        assert folder.parent.name == "numba"
        assert empty in (True, False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TINYNN_CACHE", raising=False)
    assert cache_folder() == tmp_path / "tinynn"
    monkeypatch.setenv("TINYNN_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"

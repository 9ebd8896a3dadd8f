"""Kernels beside their references, on the same arguments."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from tinynn.backend.kernel_table import FAMILIES, reference_of, table_for

DTYPES = ("float32", "float64")
# Rounding errors of a sum of some hundred numbers, relative to the largest number of the result.
TOLERANCES = {"float32": 3e-6, "float64": 1e-14}


def kernel_of(name: str) -> Any:
    """The CPU kernel itself, without the table that would put the reference in its place."""
    getattr(table_for("numpy"), name)  # says where compiled kernels are kept
    return getattr(import_module(f"tinynn.kernels.cpu.{FAMILIES[name]}"), name)


def run_both(name: str, *arrays: Any, **attributes: Any) -> tuple[tuple, tuple]:
    """(the kernel's results, the reference's), as tuples; each is given copies of the arrays."""
    results = []
    for function in (kernel_of(name), reference_of(name)):
        copies = [None if array is None else array.copy() for array in arrays]
        with np.errstate(all="ignore"):
            result = function(*copies, **attributes)
        assert result is not NotImplemented, f"{name} does not take these arguments"
        result = result if type(result) is tuple else (result,)
        changed = tuple(
            copies[place]
            for place in getattr(reference_of(name), "mutates", ())
            if place < len(copies) and copies[place] is not None
        )
        results.append(tuple(array for array in result if array is not None) + changed)
    return results[0], results[1]


def assert_same(actual: Any, expected: Any, factor: float = 1.0) -> None:
    """The same shape, dtype and non-finite places, and values within the rounding of the dtype."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    if expected.dtype.kind == "i":
        np.testing.assert_array_equal(actual, expected)
        return
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite])
    size = np.abs(expected[finite]).max(initial=1e-30)
    tolerance = TOLERANCES[actual.dtype.name] * factor
    np.testing.assert_allclose(
        actual[finite] / size, expected[finite] / size, rtol=tolerance, atol=tolerance
    )


def assert_kernel_agrees(name: str, *arrays: Any, factor: float = 1.0, **attributes: Any) -> None:
    """The kernel and the reference give the same results."""
    actual, expected = run_both(name, *arrays, **attributes)
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert_same(ours, theirs, factor)

"""CUDA kernels beside their references, on the processor, in every order of the threads."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from tests.cuda_on_cpu import SCHEDULES, Guarded, scheduled
from tests.kernels.cuda.on_card import asked_for, on_card
from tinynn.backend.dtypes import as_dtype
from tinynn.backend.kernel_table import FAMILIES, reference_of

DTYPES = ("float32", "float64", "float16", "bfloat16")
# The rounding of a sum of some hundred numbers, relative to the largest number of a result; for
# numbers of 16 bits that of the result itself, which is computed in float32.
TOLERANCES = {"float32": 3e-6, "float64": 1e-14, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def dtype_of(name: str) -> np.dtype[Any]:
    return as_dtype(name)


def launcher_of(name: str) -> Any:
    """The launcher itself, without the table that would put the reference in its place."""
    launcher = getattr(import_module(f"tinynn.kernels.cuda.{FAMILIES[name]}"), name)
    return on_card(launcher) if asked_for() else launcher


def assert_cuda_agrees(
    name: str,
    *arrays: Any,
    factor: float = 1.0,
    exact: bool = False,
    terms: float = 0.0,
    **attributes: Any,
) -> None:
    """The launcher gives what the reference gives, and the same bits in any order of the threads.

    terms: how large the numbers are that results are sums of, where those may cancel.

    Its arguments have NaN around them, which it must leave alone; they begin at multiples of 16
    bytes in the first run, and of their own size in the last.
    """
    expected = results_of(reference_of(name), name, arrays, attributes)
    first = None
    for number, schedule in enumerate(SCHEDULES):
        misaligned = number + 1 == len(SCHEDULES)
        with scheduled(*schedule):
            ours = guarded_results(name, arrays, attributes, misaligned)
        for actual, wanted in zip(ours, expected, strict=True):
            assert_close(actual, wanted, factor, exact, terms)
        if first is None:
            first = ours
        elif not misaligned:
            assert [a.tobytes() for a in ours] == [a.tobytes() for a in first], schedule


def guarded_results(
    name: str, arrays: Any, attributes: dict[str, Any], misaligned: bool = False
) -> list[Any]:
    guard = Guarded()
    copies = [
        array if array is None else guard.copy(np.asarray(array), misaligned) for array in arrays
    ]
    found = results_of(launcher_of(name), name, copies, attributes, copy=False)
    guard.check()
    return found


def results_of(
    function: Any, name: str, arrays: Any, attributes: dict[str, Any], copy: bool = True
) -> list[Any]:
    """What a call returns and changes."""
    given = [np.array(a) if copy and a is not None else a for a in arrays]
    with np.errstate(all="ignore"):
        result = function(*given, **attributes)
    assert result is not NotImplemented, f"{name} does not take these arguments"
    returned = result if type(result) is tuple else (result,)
    places = getattr(reference_of(name), "mutates", ())
    changed = [given[place] for place in places if place < len(given)]
    return [np.asarray(array) for array in (*returned, *changed) if array is not None]


def assert_close(
    actual: Any, expected: Any, factor: float = 1.0, exact: bool = False, terms: float = 0.0
) -> None:
    """The same shape, dtype and non-finite places, and values within the rounding of the dtype."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    if exact:
        assert actual.tobytes() == expected.tobytes()
        return
    tolerance = TOLERANCES[actual.dtype.name] * factor
    actual, expected = (array.astype(np.float64) for array in (actual, expected))
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite])
    size = np.abs(expected[finite]).max(initial=max(terms, 1e-30))
    np.testing.assert_allclose(
        actual[finite] / size, expected[finite] / size, rtol=tolerance, atol=tolerance
    )


def numbers(*shape: int, dtype: str = "float32", seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype_of(dtype))

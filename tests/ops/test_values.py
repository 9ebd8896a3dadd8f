"""Every operation's values and dtypes against its NumPy reference."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from tests.opinfo import OPINFOS
from tests.opinfo.calls import call, convert_sample, flat, shown, tensors_of, widen
from tests.opinfo.info import RESULT_DTYPES
from tests.opinfo.maker import Maker, examples, makers
from tests.opinfo.tolerances import assert_close

CASES = [(name, dtype) for name, info in OPINFOS.items() for dtype in info.dtypes]
# Pairs that promote to float32.
MIXES = [("float32", "int64"), ("int64", "float32"), ("float16", "float32"), ("bool", "float32")]
MIXED = [
    (name, left, right)
    for name, info in OPINFOS.items()
    if info.mixed
    for left, right in MIXES
    if left in (*info.dtypes, "float32") and right in (*info.dtypes, "float32")
]


def references(info, arguments):
    """What the reference gives, without NumPy's warnings about inf and nan."""
    wide = convert_sample(arguments, widen)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return flat(info.reference(*wide.args, **wide.kwargs))


def check_values(info, make, dtype):
    for arguments in info.samples(make):
        with shown(arguments):
            expected = references(info, arguments)
            results = call(info, tensors_of(info, arguments)[0])
            assert len(results) == len(expected)
            for result, reference in zip(results, expected, strict=True):
                assert_close(result.data, reference, info.tolerance)
                assert type(result.data) is np.ndarray
            if info.result is not None:
                wanted = np.dtype(arguments.kwargs.get("dtype", dtype))
                assert results[0].dtype.name == RESULT_DTYPES[info.result](wanted)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_values(name, dtype):
    @examples(2)
    @given(makers(dtype))
    def check(make):
        check_values(OPINFOS[name], make, dtype)

    check()


@pytest.mark.parametrize(("name", "left", "right"), MIXED)
def test_values_of_two_dtypes(name, left, right):
    info = OPINFOS[name]
    for arguments in info.samples(Maker(0, (left, right))):
        arrays = [value for value in arguments.args if isinstance(value, np.ndarray)]
        if {array.dtype.name for array in arrays if array.ndim} == {left, right}:
            only = replace(info, samples=lambda make, arguments=arguments: [arguments])
            check_values(only, None, "float32")


@pytest.mark.parametrize("name", OPINFOS)
def test_inputs_are_left_as_they_were(name):
    info = OPINFOS[name]
    for arguments in info.samples(Maker(1, info.usual_dtype)):
        with shown(arguments):
            before = convert_sample(arguments, np.copy)
            call(info, tensors_of(info, arguments)[0])
            for old, new in zip(_arrays(before), _arrays(arguments), strict=True):
                np.testing.assert_array_equal(old, new)


def _arrays(arguments):
    found = []
    convert_sample(arguments, found.append)
    return found

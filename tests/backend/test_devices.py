"""Devices as users write them, and dtypes."""

import numpy as np
import pytest

import tinynn as tn
from tinynn.backend.dtypes import as_dtype


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("cuda:1",), "cuda:1"),
        (("cuda", 1), "cuda:1"),
        ((2,), "cuda:2"),
        (("cpu",), "cpu"),
        ((tn.device("cuda:3"),), "cuda:3"),
    ],
)
def test_ways_to_write_a_device(arguments, text):
    device = tn.device(*arguments)
    assert str(device) == text
    assert device == tn.device(text) == text
    assert hash(device) == hash(tn.device(text))
    assert repr(device) == f"device({text!r})"


def test_type_and_index_are_named_as_in_torch():
    assert tn.device(type="cuda", index=1).index == 1
    assert tn.device("cuda").index is None


@pytest.mark.parametrize("text", ["", "cuda:", "cuda:x", ":1", -1])
def test_what_is_no_device(text):
    with pytest.raises(ValueError, match="expected 'cpu', 'cuda' or 'cuda:INDEX'"):
        tn.device(text)


def test_a_device_equals_no_other_text():
    assert tn.device("cpu") != "cuda:x"
    assert tn.device("cpu") != 0


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (float, "float64"),
        (int, "int64"),
        (bool, "bool"),
        ("bfloat16", "bfloat16"),
        (">f4", "float32"),
    ],
)
def test_ways_to_write_a_dtype(given, name):
    assert as_dtype(given).name == name
    assert as_dtype(given).isnative


def test_dtypes_have_torchs_names():
    for short, name in {
        "half": "float16",
        "float": "float32",
        "double": "float64",
        "int": "int32",
        "long": "int64",
        "bool": "bool",
    }.items():
        assert getattr(tn, short) == np.dtype(name)

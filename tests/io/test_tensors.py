"""`tn.save` and `tn.load`."""

from __future__ import annotations

import numpy as np
import pytest

import tinynn as tn


def test_round_trip(tmp_path, device):
    path = tmp_path / "model.safetensors"
    values = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "step": np.array(7)}
    tn.save({name: tn.tensor(value, device=device) for name, value in values.items()}, path)
    loaded = tn.load(path, map_location=device)
    assert loaded.keys() == values.keys()
    for name, tensor in loaded.items():
        assert tensor.device.type == device
        np.testing.assert_array_equal(tensor.to("cpu").numpy(), values[name], strict=True)


def test_parameters_are_saved_as_numbers(tmp_path):
    parameter = tn.tensor([1.0, 2.0], requires_grad=True)
    tn.save({"p": parameter}, tmp_path / "file")
    assert not tn.load(tmp_path / "file")["p"].requires_grad
    assert parameter.requires_grad


@pytest.mark.parametrize(
    ("obj", "message"),
    [([1], "obj is a list"), ({"a": np.zeros(1)}, "'a' is a ndarray"), ({"a": 1}, "'a' is a int")],
)
def test_only_tensors_by_name(tmp_path, obj, message):
    with pytest.raises(TypeError, match=f"save: {message}; expected tensors by name"):
        tn.save(obj, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"not it")
    with pytest.raises(ValueError, match="file is damaged or not a safetensors file"):
        tn.load(tmp_path / "file")

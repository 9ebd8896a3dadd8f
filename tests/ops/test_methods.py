"""Methods that PyTorch users expect of a tensor: casts, layouts, shapes like another's."""

import numpy as np
import pytest

import tinynn as tn

CASTS = {
    "half": "float16",
    "bfloat16": "bfloat16",
    "float": "float32",
    "double": "float64",
    "int": "int32",
    "long": "int64",
    "bool": "bool",
}


@pytest.mark.parametrize("name", CASTS)
def test_casts(name, device):
    x = tn.tensor([0.0, 2.0], device=device)
    result = getattr(x, name)()
    assert result.dtype.name == CASTS[name]
    assert result.tolist() == [0, 1 if name == "bool" else 2]
    assert (result is x) == (name == "float")
    assert x.type_as(result).dtype == result.dtype


def test_gradients_pass_casts_between_floats():
    x = tn.ones(2, requires_grad=True)
    x.double().half().sum().backward()
    assert x.grad.dtype == tn.float32
    assert not x.long().requires_grad


def test_forms_of_to():
    x = tn.ones(2)
    for same in (
        x.to(),
        x.to(None),
        x.to("cpu"),
        x.to(tn.float32),
        x.to("cpu", tn.float32, non_blocking=True),
        x.to(tn.zeros(1)),
        x.cpu(),
    ):
        assert same is x
    copied = x.to("cpu", copy=True)
    copied += 1
    assert x.tolist() == [1, 1]
    assert x.to(tn.zeros(1, dtype=tn.int64).to("fake")).device == "fake"
    assert x.to(float).dtype == tn.float64
    with pytest.raises(ValueError, match="'nowhere' is unknown"):
        x.to("nowhere")
    with pytest.raises(TypeError, match="not one the engine computes with"):
        x.to(tn)


def test_layout(device):
    x = tn.arange(6, device=device).reshape(2, 3)
    assert x.is_contiguous()
    assert x.contiguous() is x
    turned = x.t()
    assert not turned.is_contiguous()
    assert turned.contiguous().is_contiguous()
    assert turned.contiguous().tolist() == turned.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert (x.numel(), x.nelement(), x.element_size(), x.nbytes) == (6, 6, 8, 48)
    assert (x.dim(), x.ndimension(), x.size(), x.size(-1)) == (2, 2, (2, 3), 3)
    assert (x.is_floating_point(), x.half().is_floating_point()) == (False, True)


def test_shapes_like_anothers():
    x, other = tn.arange(6), tn.zeros(2, 3)
    viewed = x.view_as(other)
    viewed[0, 0] = 9
    assert x[0].item() == 9
    assert tn.ones(3).expand_as(other).shape == (2, 3)
    assert tn.arange(3).t().shape == (3,)
    with pytest.raises(RuntimeError, match=r"t: .* has 3"):
        tn.zeros(1, 2, 3).t()


def test_equal_and_allclose(device):
    x = tn.tensor([1.0, np.nan], device=device)
    y = tn.tensor([1.0, 2.0], device=device)
    assert y.equal(y.clone())
    assert not x.equal(x.clone())
    assert not y.equal(y[:1])
    assert y.allclose(y + 1e-6)
    assert not y.allclose(y + 1e-3)
    assert y.allclose(y + 1e-3, atol=1e-2)
    assert not x.allclose(x)
    assert x.allclose(x, equal_nan=True)
    with pytest.raises(TypeError, match="allclose: other must be a tensor, got float"):
        tn.allclose(y, 1.0)

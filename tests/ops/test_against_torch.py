"""Every operation against torch's of the same name, gradients and dtypes included."""

import warnings

import numpy as np
import pytest

import tinynn as tn
from tests.opinfo import OPINFOS
from tests.opinfo.calls import call, flat, replace_arrays, shown, tensors_of
from tests.opinfo.maker import Maker
from tests.opinfo.tolerances import assert_close

torch = pytest.importorskip("torch")

CASES = [
    (name, dtype)
    for name, info in OPINFOS.items()
    if not info.not_in_torch
    for dtype in info.dtypes
    if dtype != "float16"
]
MIXED = [name for name, info in OPINFOS.items() if info.mixed and not info.not_in_torch]


def check_against_torch(info, arguments):
    tensors, leaves = tensors_of(info, arguments, requires_grad=info.differentiable)
    peers = []

    def to_torch(array, differentiable):
        tensor = torch.tensor(np.array(array, order="C"))
        if differentiable and array.dtype.kind == "f":
            tensor.requires_grad_(info.differentiable)
            peers.append(tensor)
        return tensor

    fixed = info.constants
    args = replace_arrays(arguments.args, lambda array: to_torch(array, True))
    kwargs = {
        name: replace_arrays(value, lambda array, name=name: to_torch(array, name not in fixed))
        for name, value in arguments.kwargs.items()
    }
    results = call(info, tensors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's about a variance of one element
        expected = flat(info.in_torch(torch)(*args, **kwargs))
    assert len(results) == len(expected)
    random = np.random.default_rng(9)
    for result, reference in zip(results, expected, strict=True):
        assert str(reference.dtype) == f"torch.{result.dtype.name}"
        assert_close(result.data, reference.detach().numpy(), info.tolerance)
        assert result.requires_grad == reference.requires_grad
        if result.requires_grad:
            gradient = np.asarray(random.standard_normal(result.shape).astype(result.dtype))
            result.backward(tn.Tensor(gradient), retain_graph=True)
            reference.backward(torch.tensor(gradient), retain_graph=True)
    for leaf, peer in zip(leaves, peers, strict=True):
        if peer.grad is None:
            assert leaf.grad is None or not leaf.grad.data.any()
        else:
            assert_close(leaf.grad.data, peer.grad.numpy(), 10 * info.tolerance)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_agrees_with_torch(name, dtype):
    info = OPINFOS[name]
    for arguments in info.samples(Maker(10, dtype)):
        with shown(arguments):
            check_against_torch(info, arguments)


@pytest.mark.parametrize("name", MIXED)
def test_promotes_as_torch(name):
    info = OPINFOS[name]
    known = [dtype for dtype in ("float32", "int64", "bool") if dtype in (*info.dtypes, "float32")]
    for left in known:
        for right in known:
            for arguments in info.samples(Maker(11, (left, right))):
                with shown(arguments):
                    check_against_torch(info, arguments)

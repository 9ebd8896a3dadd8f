"""Every operation on another backend gives what it gives on NumPy, forward and backward."""

import numpy as np
import pytest

import tinynn as tn
from tests.opinfo import OPINFOS
from tests.opinfo.calls import call, shown, tensors_of, to_numpy
from tests.opinfo.maker import Maker
from tests.opinfo.tolerances import assert_close
from tinynn.backend.devices import Device, transfer


@pytest.mark.parametrize("name", OPINFOS)
def test_backend_agrees_with_numpy(name, device):
    info = OPINFOS[name]
    for arguments in info.samples(Maker(7, info.usual_dtype, ("contiguous", "fortran", "strided"))):
        with shown(arguments):
            expected, here = run(info, arguments, "cpu")
            results, there = run(info, arguments, device)
            for result, reference in zip(results, expected, strict=True):
                assert result.device.type == tn.device(device).type
                assert result.dtype == reference.dtype
                assert_close(to_numpy(result), to_numpy(reference), info.tolerance)
            for leaf, reference in zip(there, here, strict=True):
                assert (leaf.grad is None) == (reference.grad is None)
                if leaf.grad is not None:
                    assert leaf.grad.device.type == tn.device(device).type
                    assert_close(to_numpy(leaf.grad), to_numpy(reference.grad), 10 * info.tolerance)


def run(info, arguments, device):
    """Results, and leaves after a backward pass from each result with one gradient for all."""
    tensors, leaves = tensors_of(info, arguments, device, requires_grad=info.differentiable)
    results = call(info, tensors)
    random = np.random.default_rng(8)
    for result in results:
        if result.requires_grad:
            gradient = random.standard_normal(result.shape).astype(result.dtype)
            given = transfer(np.asarray(gradient), Device(device))
            result.backward(tn.Tensor(given), retain_graph=True)
    return results, leaves

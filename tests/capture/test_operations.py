"""Every operation, forward and backward, gives in a replay what it gives without a plan.

A function is compiled once for each sample and called with three sets of values: the first call is
the recorded one, the others replay it.
"""

import numpy as np
import pytest

import tinynn as tn
from tests.opinfo import OPINFOS
from tests.opinfo.calls import Sample, call, flat, replace_arrays, shown, to_numpy
from tests.opinfo.maker import Maker
from tinynn.backend.devices import Device, transfer
from tinynn.capture import CaptureError

SEEDS = (7, 8, 9)
# Results whose shapes depend on values, or that are Python's: a recorder refuses them.
REFUSED = {"nonzero", "equal", "allclose", "is_tensor"}
# Without a kernel of its own, attention to a cache reads lengths on the host.
REFUSED_BY = {"fake": {"decode_attention"}}
# Numbers are added at places of which some are the same, by CuPy in any order: two runs without a
# plan differ as well.
UNORDERED = {
    "cuda": {
        *("embedding", "gather", "getitem", "index_add", "index_select"),
        *("max_pool2d", "scatter_add", "take_along_dim"),
    }
}


@pytest.mark.parametrize("name", OPINFOS)
def test_replay_agrees_with_eager(name, device):
    info = OPINFOS[name]
    together = zip(
        *(info.samples(Maker(seed, info.usual_dtype, ("contiguous",))) for seed in SEEDS),
        strict=True,
    )
    for samples in together:
        if len({shapes_of(arguments) for arguments in samples}) > 1:
            continue  # an index with other shapes for other values
        function = forward_and_backward(info, samples[0], device)
        function(*arrays_of(samples[0], device))  # which makes the weights of the results
        step = tn.compile(function, fuse=False)
        for arguments in samples:
            with shown(arguments):
                tensors = arrays_of(arguments, device)
                try:
                    found = step(*tensors)
                except CaptureError:
                    refused = REFUSED | REFUSED_BY.get(device, set())
                    assert name in refused or by_values(name, arguments), "refused"
                    continue
                expected = function(*tensors)
                for result, reference in zip(found, expected, strict=True):
                    pair = to_numpy(result), to_numpy(reference)
                    if name in UNORDERED.get(device, set()):
                        np.testing.assert_allclose(*pair, rtol=1e-5, atol=1e-6)
                    else:
                        np.testing.assert_array_equal(*pair)
                assert len(step.plans) <= len(samples)


def forward_and_backward(info, arguments, device):
    """A function of the arrays in the sample, as tensors: the results and the gradients."""
    random = np.random.default_rng(0)
    weights = {}

    def weight(number, like):
        if number not in weights:
            numbers = np.asarray(random.standard_normal(like.shape)).astype(like.dtype)
            weights[number] = tn.Tensor(transfer(numbers, Device(device)))
        return weights[number]

    def function(*tensors):
        given = iter(tensors)
        leaves = []

        def next_leaf(array):
            tensor = next(given)
            if array.dtype.kind == "f" and info.differentiable:
                tensor = tensor.detach().requires_grad_()
                leaves.append(tensor)
            return tensor

        args = replace_arrays(arguments.args, next_leaf)
        kwargs = {
            key: replace_arrays(
                value, next_leaf if key not in info.constants else lambda array: next(given)
            )
            for key, value in arguments.kwargs.items()
        }
        results = [r for r in call(info, Sample(args, kwargs)) if isinstance(r, tn.Tensor)]
        for number, result in enumerate(results):
            if result.requires_grad:
                result.backward(weight(number, result), retain_graph=True)
        grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
        return [result.detach() for result in results] + grads

    return function


def arrays_of(arguments, device):
    """The arrays in a sample as tensors, in order."""
    found = []
    replace_arrays((*arguments.args, *arguments.kwargs.values()), found.append)
    return [tn.Tensor(transfer(array, Device(device))) for array in found]


def shapes_of(arguments):
    found = []
    replace_arrays((*arguments.args, *arguments.kwargs.values()), found.append)
    return tuple(array.shape for array in found)


def by_values(name, arguments):
    """Whether a mask picks elements, or a tensor of no dimensions is used as an integer."""
    items = flat([*arguments.args, *arguments.kwargs.values()])
    arrays = [item for item in items if isinstance(item, np.ndarray)]
    if name == "getitem" and (
        any(item is True or item is False for item in items)
        or any(array.ndim == 0 for array in arrays)
    ):
        return True
    return any(array.dtype == bool for array in arrays)

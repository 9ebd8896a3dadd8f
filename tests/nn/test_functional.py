"""tinynn.nn.functional: PyTorch's names, arguments and defaults."""

import inspect

import pytest

import tinynn.nn.functional as F
from tinynn.ops.registry import OPS

# What PyTorch keeps for old programs, or what saves it memory; tinynn has none of them.
LEFT_OUT = {"_stacklevel", "inplace", "max_norm", "norm_type", "reduce", "scale_grad_by_freq"}
LEFT_OUT |= {"return_indices", "size_average", "sparse"}
# What PyTorch hides behind a function of (*args, **kwargs).
HIDDEN = {"max_pool2d": "_max_pool2d"}
OUR_OWN = {"append_kv", "decode_attention", "gated_activation", "linear_activation"}
OUR_OWN |= {"merge_attention", "rope"}
# It changes a cache in place, and has no result.
NO_OPERATION = {"append_kv"}


@pytest.mark.parametrize("name", sorted(set(F.__all__) - NO_OPERATION))
def test_a_function_is_a_public_operation(name):
    assert OPS[name] is getattr(F, name)


@pytest.mark.parametrize("name", sorted(set(F.__all__) - OUR_OWN))
def test_a_function_has_the_arguments_of_torch(name):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, HIDDEN.get(name, name))
    if not inspect.isfunction(theirs):
        pytest.skip("torch's is compiled and does not tell its arguments")
    expected = {
        key: parameter.default
        for key, parameter in inspect.signature(theirs).parameters.items()
        if key not in LEFT_OUT
    }
    ours = inspect.signature(getattr(F, name)).parameters
    missing = set(expected) - set(ours)
    assert missing <= {"weight"} if name == "mse_loss" else not missing
    for key in set(expected) & set(ours):
        if expected[key] is not inspect.Parameter.empty and name not in ("softmax", "log_softmax"):
            assert ours[key].default == expected[key], key
    positional = [key for key, value in ours.items() if value.kind != value.KEYWORD_ONLY]
    assert positional == [key for key in expected if key in positional]

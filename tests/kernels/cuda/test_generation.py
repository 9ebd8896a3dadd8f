"""A language model writes with CUDA kernels, on the processor, what it writes with CPU kernels."""

import pytest

from tests.generation.conftest import tiny
from tinynn.generation import generate, steps
from tinynn.inference import KVCache
from tinynn.quant import quantize

PROMPTS = [[3, 1, 4, 1, 5], [9]]
NEW = 6


def model_of(format):
    model = tiny(tied=True)
    return model if format is None else quantize(model, format, activations="float32")


def written(model):
    results = generate(model, PROMPTS, NEW, stop_tokens=())
    return [result.token_ids for result in results]


@pytest.fixture(scope="module")
def expected():
    return {format: written(model_of(format)) for format in (None, "int8-32", "int4", "fp16")}


@pytest.mark.parametrize("format", [None, "int8-32", "int4", "fp16"])
def test_the_same_tokens(expected, with_cuda_kernels, monkeypatch, format):
    """Also in steps that are recorded."""
    model = model_of(format)
    monkeypatch.setattr(steps, "WORTH_RECORDING", 0)
    assert written(model) == expected[format]
    assert {"decode_32_bit", "append_kv", "normalize"} <= with_cuda_kernels
    product = {None: "multiply_few_rows", "fp16": "multiply_few_rows"}.get(
        format, "multiply_floats"
    )
    assert product in with_cuda_kernels


@pytest.mark.parametrize("texts", [1, 3])
def test_a_step_is_recorded(with_cuda_kernels, texts):
    model = model_of(None)
    config = model.config
    cache = KVCache(config.num_layers, config.num_kv_heads, config.head_dim, capacity=256)
    own, slots = steps.Steps(model, cache), [cache.start() for _ in range(texts)]
    own.scores([3, 1] * texts, cache.batch(slots, [2] * texts), range(1, 2 * texts, 2), 0)
    for token in (1, 5, 9):
        own.scores([token] * texts, cache.batch(slots, [1] * texts), range(texts), 100)
    plan = own._recorded.plan
    assert plan.replays == 2
    # Not one of them is the reference of a kernel that took its arguments for another's.
    assert {"decode_32_bit", "append_kv", "multiply_few_rows"} <= {call.name for call in plan.calls}

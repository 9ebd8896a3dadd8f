"""Generation through the cache against all computed again, alone and beside others."""

import tracemalloc

import numpy as np
import pytest

import tinynn as tn
from tests.generation.conftest import tiny
from tinynn.generation import generate, steps, stream
from tinynn.inference import KVCache
from tinynn.models import Transformer, TransformerConfig

PROMPTS = ["the cat", "a", "is it there? it is there, is it", "hello, world!"]


def ids(results):
    return [result.token_ids for result in results]


def again(model, prompt, count):
    """The most probable tokens, from all tokens anew for each."""
    tokens = list(prompt)
    with tn.no_grad():
        for _ in range(count):
            tokens.append(int(model(tn.tensor([tokens])).numpy()[0, -1].argmax()))
    return tokens[len(prompt) :]


KINDS = {
    "rotary": {},
    "learned positions": {
        "learned_positions": True,
        "norm": "layer",
        "gated": False,
        "qkv_bias": True,
    },
    "window": {"window": 5},
    "window in some layers": {"window": 5, "window_from": 1},
    "norms of queries": {"qk_norm": True, "tied": True, "head_dim": 48},
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_ways_give_the_same_tokens(kind):
    model = tiny(**KINDS[kind])
    prompts = [model.tokenizer.encode(prompt) for prompt in PROMPTS]
    expected = [again(model, prompt, 40) for prompt in prompts]
    assert len({tuple(tokens) for tokens in expected}) == len(expected)
    options = {"max_new_tokens": 40, "stop_tokens": ()}
    assert ids(generate(model, PROMPTS, **options)) == expected
    assert ids(generate(model, PROMPTS, **options, use_cache=False)) == expected
    assert ids(generate(model, PROMPTS, **options, chunk=3, batch_size=2)) == expected
    assert ids(generate(model, PROMPTS, **options, drafts=4)) == expected
    assert ids([generate(model, prompt, **options) for prompt in prompts]) == expected


def test_steps_that_are_recorded_are_those_that_are_not(monkeypatch):
    """Texts that end one by one, and become longer than the tables of the first recording."""
    model, prompts = tiny(max_positions=512), [[5] * size for size in (1, 30, 250, 9, 100)]
    stop = generate(model, prompts[1], 40, stop_tokens=()).token_ids[25]
    found = {}
    for least in (0, 10**9):
        monkeypatch.setattr(steps, "WORTH_RECORDING", least)
        found[least] = generate(
            model, prompts, 60, stop_tokens=[stop], batch_size=3, temperature=0.5, logprobs=0
        )
    for recorded, plain in zip(*found.values(), strict=True):
        assert recorded.token_ids == plain.token_ids
        np.testing.assert_allclose(recorded.logprobs, plain.logprobs, rtol=0, atol=1e-4)
    assert len({len(result.token_ids) for result in found[0]}) > 2


def test_a_recorded_step_keeps_no_copy_of_the_cache():
    model = tiny()
    config = model.config
    cache = KVCache(config.num_layers, config.num_kv_heads, config.head_dim, capacity=1 << 16)
    own, slot = steps.Steps(model, cache), cache.start()
    own.scores([3, 1], cache.batch([slot], [2]), [1], 0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for token in (4, 1, 5):
        own.scores([token], cache.batch([slot], [1]), [0], 100)
    most = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert own._recorded.plan.replays == 2
    assert most < cache.nbytes / 8


def test_drafts_that_prove_right_save_steps():
    """A model that repeats what it read: its next token depends on the last one alone."""
    model, calls = tiny(), []
    for layer in model.layers:
        layer.self_attn.o_proj.weight.data[...] = 0
    prompt, options = model.tokenizer.encode("abc"), {"max_new_tokens": 60, "stop_tokens": ()}
    expected = again(model, prompt, 60)
    model.register_forward_hook(lambda *_: calls.append(1))
    assert generate(model, prompt, **options).token_ids == expected
    assert len(calls) == 60
    calls.clear()
    assert generate(model, prompt, **options, drafts=4).token_ids == expected
    # Such a model goes round in a circle of at most as many tokens as there are.
    assert len(calls) < 36 + 60 / 4


def test_samples_depend_on_their_seeds_alone(model):
    options = {"max_new_tokens": 15, "temperature": 1.5, "stop_tokens": ()}
    three = generate(model, PROMPTS[0], n=3, seed=[5, 6, 7], **options)
    assert len({tuple(tokens) for tokens in ids(three)}) == 3
    for result, seed in zip(three, (5, 6, 7), strict=True):
        assert generate(model, PROMPTS[0], seed=[seed], **options).token_ids == result.token_ids
    mixed = generate(model, PROMPTS, seed=[1, 2, 3, 4], **options)
    assert generate(model, PROMPTS[2], seed=[3], **options).token_ids == mixed[2].token_ids
    assert ids(generate(model, PROMPTS, n=2, seed=9, **options)) == ids(
        generate(model, PROMPTS, n=2, seed=9, batch_size=1, chunk=2, **options)
    )


def test_streams_are_the_results(model):
    options = {"max_new_tokens": 12, "n": 2, "temperature": 1.0, "seed": 3}
    results = generate(model, PROMPTS, **options)
    tokens, texts, ends = {}, {}, {}
    for piece in stream(model, PROMPTS, **options):
        assert piece.index not in ends
        tokens.setdefault(piece.index, []).append(piece.token_id)
        texts[piece.index] = texts.get(piece.index, "") + piece.text
        if piece.finish_reason is not None:
            ends[piece.index] = piece.finish_reason
    assert [tokens[index] for index in range(8)] == ids(results)
    assert [texts[index] for index in range(8)] == [result.text for result in results]
    assert [ends[index] for index in range(8)] == [result.finish_reason for result in results]


def test_log_probabilities_are_the_models(model):
    result = generate(model, PROMPTS[0], 6, temperature=2.0, logprobs=2, stop_tokens=())
    with tn.no_grad():
        tokens = tn.tensor([result.prompt_ids + result.token_ids])
        scores = tn.nn.functional.log_softmax(model(tokens), dim=-1).numpy()[0]
    rows = scores[len(result.prompt_ids) - 1 : -1]
    expected = rows[np.arange(6), result.token_ids]
    np.testing.assert_allclose(result.logprobs, expected, rtol=1e-4, atol=1e-4)
    for row, best in zip(rows, result.top_logprobs, strict=True):
        assert list(best) == np.argsort(-row)[:2].tolist()


def test_stop_tokens_and_strings(model):
    full = generate(model, PROMPTS[0], 40, stop_tokens=())
    stop = full.token_ids[5]
    first = full.token_ids.index(stop)
    ended = generate(model, PROMPTS[0], 40, stop_tokens=[stop])
    assert ended.token_ids == full.token_ids[: first + 1]
    assert ended.finish_reason == "stop"
    assert ended.text == model.tokenizer.decode(full.token_ids[:first])
    words = full.text[4:7]
    cut = generate(model, PROMPTS[0], 40, stop=[words, "never there"], stop_tokens=())
    assert cut.text == full.text[: full.text.index(words)]
    assert cut.finish_reason == "stop"
    shown = [piece.text for piece in stream(model, PROMPTS[0], 40, stop=words, stop_tokens=())]
    assert "".join(shown) == cut.text
    # What might have become a stop string, and did not, is shown in the end.
    almost = full.text[-2:] + "never"
    assert generate(model, PROMPTS[0], 40, stop=[almost], stop_tokens=()).text == full.text


def test_a_context_that_is_full_ends_a_text(model):
    prompt = [1] * 120
    assert len(generate(model, prompt, 50, stop_tokens=()).token_ids) == 8
    with pytest.raises(
        ValueError, match=r"a prompt of 128 tokens leaves no room .* context of 128"
    ):
        generate(model, [1] * 128)


def test_a_model_without_a_tokenizer_takes_ids():
    model = Transformer(TransformerConfig(vocab_size=9, hidden_size=32, num_layers=1, num_heads=1))
    result = generate(model, [1, 2], 3)
    assert result.text is None
    assert model.training
    with pytest.raises(TypeError, match="a prompt is text, but the model has no tokenizer"):
        generate(model, "hello")
    with pytest.raises(ValueError, match="stop strings need a model with a tokenizer"):
        generate(model, [1], stop=["x"])


@pytest.mark.parametrize(
    ("prompts", "options", "error", "says"),
    [
        ([], {}, ValueError, "there is no prompt"),
        ("", {}, ValueError, "a prompt is empty"),
        ([[1], []], {}, ValueError, "a prompt is empty"),
        ([1, 99], {}, ValueError, "token 99 of a prompt is not one of 0 to 34"),
        ([[1, 2.5]], {}, TypeError, "strings or lists of ids, got 2.5"),
        ("a", {"max_new_tokens": 0}, ValueError, "max_new_tokens must be at least 1, got 0"),
        ("a", {"n": 0}, ValueError, "n must be at least 1, got 0"),
        ("a", {"chunk": 0}, ValueError, "chunk must be at least 1, got 0"),
        ("a", {"stop": [""]}, ValueError, "stop must be strings that are not empty"),
        ("a", {"logprobs": -1}, ValueError, "logprobs must be None or 0 or more, got -1"),
        ("a", {"seed": [1, 2]}, ValueError, "2 seeds for 1 texts"),
        ("a", {"drafts": 2, "temperature": 1.0}, ValueError, "drafts are for temperature 0"),
        ("a", {"temprature": 1.0}, TypeError, "temprature is not an option; there are batch_size"),
        ("a", {"cache_dtype": "int16"}, TypeError, "cache_dtype must be float32, .* got 'int16'"),
        ("a", {"cache_dtype": "int4"}, TypeError, "cache_dtype must be float32, .* got 'int4'"),
    ],
)
def test_what_is_refused(model, prompts, options, error, says):
    with pytest.raises(error, match=says):
        generate(model, prompts, **options)


def test_a_cache_that_memory_does_not_hold_is_refused_before_it_is_taken():
    model = tiny(max_positions=1 << 22)
    with pytest.raises(MemoryError, match=r"a cache of .* positions takes .* MB are free"):
        generate(model, [[1]] * 4000, 1 << 21, batch_size=4000)

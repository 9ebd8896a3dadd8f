"""The model that the project fetches, against the greedy tokens of transformers in float32."""

import pytest

from tests.generation.texts import mixed_lines
from tinynn.generation import generate, load, save

# Each prompt's 64 most probable tokens, by transformers on the same weights.
GREEDY = {
    "The capital of France is": [
        7042, 30, 198, 198, 504, 2988, 314, 42, 216, 34, 32, 33, 40, 29, 32, 33, 29, 34,
        34, 216, 33, 34, 42, 33, 34, 42, 37, 35, 30, 2, 198, 1, 520, 9531, 198, 504,
        2988, 314, 42, 216, 34, 32, 33, 40, 29, 32, 33, 29, 34, 34, 216, 33, 34, 42, 33,
        34, 42, 37, 35, 2, 198, 2, 1, 9690
    ],
    "Once upon a time, there was a little girl named Lily who": [
        5732, 288, 1238, 351, 874, 9173, 30, 1963, 1194, 28, 1041, 983, 253, 10976,
        1076, 338, 436, 6792, 30, 2306, 436, 8177, 975, 1041, 761, 3590, 1488, 9764, 30,
        198, 198, 504, 1867, 1194, 28, 1041, 983, 253, 10976, 1076, 338, 436, 1361,
        1891, 30, 2306, 436, 5587, 975, 1041, 761, 983, 253, 10976, 1076, 338, 436,
        1361, 1891, 30, 2306, 436, 5587, 975
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return load("smollm2")


def tokens(results):
    return [result.token_ids for result in results]


@pytest.mark.network
@pytest.mark.parametrize("options", [{}, {"chunk": 1}, {"chunk": 7}, {"drafts": 6}], ids=str)
def test_in_one_batch(model, options):
    assert tokens(generate(model, list(GREEDY), 64, stop_tokens=(), **options)) == [
        *GREEDY.values()
    ]


@pytest.mark.network
@pytest.mark.parametrize("use_cache", [True, False])
def test_alone_with_and_without_a_cache(model, use_cache):
    count = 64 if use_cache else 16
    for prompt, expected in GREEDY.items():
        result = generate(model, prompt, count, stop_tokens=(), use_cache=use_cache)
        assert result.token_ids == expected[:count]


@pytest.mark.network
def test_it_ends_its_answers(model):
    prompt = model.tokenizer.chat([{"role": "user", "content": "What is the capital of France?"}])
    result = generate(model, model.tokenizer.encode(prompt, add_special=False), 64)
    assert result.text == "The capital of France is Paris."
    assert result.finish_reason == "stop"


@pytest.mark.network
@pytest.mark.parametrize("format", ["stored", "int4"])
def test_saved_in_few_bits_it_writes_the_same(format, tmp_path):
    """With its tokenizer, which the file has as metadata and the folder as tokenizer.json."""
    model = load("smollm2", format)
    save(model, tmp_path / "saved")
    again = load(tmp_path / "saved")
    texts = [*mixed_lines(300, seed=3), "<|im_start|>user\n12345<|im_end|>"]
    for text in texts:
        assert again.tokenizer.encode(text) == model.tokenizer.encode(text)
    assert tokens(generate(again, list(GREEDY), 24)) == tokens(generate(model, list(GREEDY), 24))
    size = sum(file.stat().st_size for file in (tmp_path / "saved").glob("*.safetensors"))
    assert size < 100e6

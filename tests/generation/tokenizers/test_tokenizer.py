"""Tokenizers give the ids of slow and plain ones, and texts come back."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.generation.texts import mixed_lines
from tests.generation.tokenizers import slow_tokenizers
from tests.generation.vocabularies import (
    KEY,
    byte_level,
    sentence_pieces,
)
from tinynn.generation import Tokenizer
from tinynn.generation.tokenizers.pre_tokenizers import PRE_TOKENIZERS

LINES = mixed_lines(3000)


@pytest.fixture(scope="module")
def smollm() -> Tokenizer:
    return Tokenizer.from_gguf(byte_level("smollm"))


@pytest.mark.parametrize("pre", slow_tokenizers.CUTS)
def test_byte_level_ids_are_those_of_a_slow_tokenizer(pre):
    metadata = byte_level(pre, add_bos_token=False)
    tokenizer = Tokenizer.from_gguf(metadata)
    ids = {token: id for id, token in enumerate(metadata[f"{KEY}tokens"])}
    ranks = slow_tokenizers.ranks(metadata[f"{KEY}merges"])
    for line in LINES:
        text = unicodedata.normalize("NFC", line) if pre == "qwen2" else line
        expected = slow_tokenizers.byte_level(text, pre, ids, ranks, whole_words=pre == "llama-bpe")
        assert tokenizer.encode(line) == expected, line
        assert tokenizer.decode(expected) == text


def test_every_way_of_cutting_is_compared():
    same = {"llama-v3": "llama-bpe", "llama3": "llama-bpe"}
    assert {same.get(name, name) for name in PRE_TOKENIZERS} == set(slow_tokenizers.CUTS)
    assert all(PRE_TOKENIZERS[name] == PRE_TOKENIZERS[other] for name, other in same.items())


@pytest.mark.parametrize("space", [True, False])
def test_sentence_piece_ids_are_those_of_a_slow_tokenizer(space):
    metadata = sentence_pieces(add_space_prefix=space)
    tokenizer = Tokenizer.from_gguf(metadata)
    assert tokenizer.leading_space == space
    ids = {token: id for id, token in enumerate(metadata[f"{KEY}tokens"])}
    for line in LINES:
        if "<s>" in line:  # a control token
            continue
        expected = slow_tokenizers.sentence_pieces(line, ids, metadata[f"{KEY}scores"], space)
        assert tokenizer.encode(line, add_special=False) == expected, line
        assert tokenizer.decode(expected) == line.replace("▁", " ")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text):
    for tokenizer in (Tokenizer.from_gguf(byte_level("smollm")), LLAMA3):
        assert tokenizer.decode(tokenizer.encode(text, add_special=False)) == text


LLAMA3 = Tokenizer.from_gguf(byte_level("llama-bpe"))


def test_attributes(smollm):
    assert (smollm.vocab_size, smollm.bos_id, smollm.eos_ids, smollm.pad_id) == (901, 1, (0,), None)
    assert smollm.chat_template is None
    more = Tokenizer.from_gguf(
        byte_level("gpt-2", eot_token_id=5, eom_token_id=0, padding_token_id=7)
    )
    assert (more.eos_ids, more.pad_id) == ((0, 5), 7)
    assert repr(more) == "Tokenizer(901 tokens, bos_id=1, eos_ids=(0, 5), pad_id=7)"


def test_bos_is_put_as_the_file_says():
    plain = Tokenizer.from_gguf(byte_level("smollm")).encode("a")
    assert Tokenizer.from_gguf(byte_level("smollm", add_bos_token=True)).encode("a") == [1, *plain]
    assert LLAMA3.encode("a")[0] == 1, "usual for Llama 3, where the file is silent"
    assert Tokenizer.from_gguf(sentence_pieces()).encode("a")[0] == 1
    ended = Tokenizer.from_gguf(byte_level("smollm", add_eos_token=True))
    assert ended.encode("a") == [*plain, 0]


def test_bos_is_put_as_asked(smollm):
    plain = smollm.encode("a")
    assert smollm.encode("a", add_special=True) == [1, *plain]
    assert smollm.encode("<|start|>a", add_special=True) == [1, *plain], "once"
    assert LLAMA3.encode("a", add_special=False) == LLAMA3.encode("a")[1:]
    metadata = byte_level("smollm")
    del metadata[f"{KEY}bos_token_id"]
    assert Tokenizer.from_gguf(metadata).encode("a", add_special=True) == plain


def test_control_tokens_are_parsed_or_read_as_text(smollm):
    text = "a<|end|> b"
    assert smollm.encode(text)[1] == 0
    as_text = smollm.encode(text, parse_special=False)
    assert 0 not in as_text
    assert smollm.decode(as_text, skip_special=True) == text
    assert smollm.encode(text)[1] == 0, "the other way did not stay"


def test_control_tokens_are_skipped_and_a_users_words_are_not(smollm):
    ids = smollm.encode("a🦀 crab<|end|>")
    assert ids[-2:] == [900, 0]
    assert smollm.decode(ids) == "a🦀 crab<|end|>"
    assert smollm.decode(ids, skip_special=True) == "a🦀 crab"
    assert [smollm.is_special(id) for id in ids[-2:]] == [False, True]


def test_single_tokens(smollm):
    (space_a,) = smollm.encode(" a")
    assert (smollm.token_text(space_a), smollm.token_bytes(space_a)) == (" a", b" a")
    part = smollm.encode("🦀")[0]
    assert smollm.token_bytes(part)[0] == 0xF0
    assert "\ufffd" in smollm.token_text(part)
    assert Tokenizer.from_gguf(sentence_pieces()).token_bytes(3 + 0xE2) == b"\xe2"


def test_bytes_without_a_token_are_dropped():
    metadata = byte_level("smollm")
    lacking = metadata[f"{KEY}tokens"].index("Ċ")
    metadata[f"{KEY}tokens"][lacking] = "[unused]"
    metadata[f"{KEY}merges"] = [merge for merge in metadata[f"{KEY}merges"] if "Ċ" not in merge]
    tokenizer = Tokenizer.from_gguf(metadata)
    assert tokenizer.decode(tokenizer.encode("a\nb")) == "ab"


def test_ids_may_be_numpy_integers(smollm):
    ids = np.array(smollm.encode("some text"))
    assert smollm.decode(ids) == "some text"
    assert smollm.token_text(np.int32(0)) == "<|end|>"


def test_wrong_arguments_are_refused_by_name(smollm):
    with pytest.raises(TypeError, match=r"Tokenizer\.encode: text must be a str, got bytes"):
        smollm.encode(b"a")
    with pytest.raises(ValueError, match=r"Tokenizer\.encode: text has a lone surrogate.* at 1"):
        smollm.encode("a\ud800")
    with pytest.raises(ValueError, match=r"Tokenizer\.decode: there is no token 901; ids are 0 to"):
        smollm.decode([1, 901])
    with pytest.raises(ValueError, match=r"Tokenizer\.token_bytes: there is no token -1"):
        smollm.token_text(-1)
    with pytest.raises(TypeError, match=r"Tokenizer\.decode: a token id is an int, got float 1\.0"):
        smollm.decode([1.0])
    for ids in ("text", 3):
        with pytest.raises(TypeError, match=r"Tokenizer\.decode: ids must be ints, got"):
            smollm.decode(ids)
    with pytest.raises(TypeError, match="a token id is an int, got list"):
        smollm.decode([[1, 2]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pre": "gpt-7"}, "tokenizer.ggml.pre is 'gpt-7', known are default, gpt-2, llama-bpe"),
        ({"model": "t5"}, "tokenizer.ggml.model is 't5', expected gpt2"),
        ({"model": None}, "tokenizer.ggml.model is missing, expected a str"),
        ({"tokens": None}, "tokenizer.ggml.tokens is missing, expected a list of str"),
        ({"tokens": [1]}, r"tokenizer.ggml.tokens is list \[1\], expected a list of str"),
        ({"merges": ["ab"]}, "tokenizer.ggml.merges has 'ab', expected two tokens"),
        ({"merges": ["a nope"]}, "the vocabulary is damaged: .*nope"),
        ({"token_type": [1]}, "tokenizer.ggml.token_type has 1 numbers for 901 tokens"),
        ({"eos_token_id": 901}, "tokenizer.ggml.eos_token_id is 901, but there are 901 tokens"),
        ({"bos_token_id": "1"}, "tokenizer.ggml.bos_token_id is str '1', expected a token id"),
    ],
)
def test_wrong_metadata_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=f"^Tokenizer.from_gguf: {message}"):
        Tokenizer.from_gguf(byte_level("smollm", **change))


def test_a_token_that_would_take_long_to_halve_is_refused():
    metadata = sentence_pieces()
    metadata[f"{KEY}tokens"][-1] = "a" * 257
    with pytest.raises(ValueError, match=r"token .* has 257 characters, at most 256 are merged"):
        Tokenizer.from_gguf(metadata)


def test_numbers_may_be_numpy_arrays():
    metadata = sentence_pieces()
    arrays = {name: np.array(metadata[KEY + name]) for name in ("scores", "token_type")}
    first, second = Tokenizer.from_gguf(metadata), Tokenizer.from_gguf(sentence_pieces(**arrays))
    assert first.encode("some text") == second.encode("some text")


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}{{ eos_token }}"
)


def test_a_conversation_is_rendered(smollm):
    chat = [{"role": "user", "content": "hi"}]
    metadata = byte_level("smollm") | {"tokenizer.chat_template": CHATML}
    tokenizer = Tokenizer.from_gguf(metadata)
    asked = "<|im_start|>user\nhi<|im_end|>"
    assert tokenizer.chat(chat) == f"{asked}<|im_start|>assistant<|end|>"
    assert tokenizer.chat(chat, add_generation_prompt=False) == f"{asked}<|end|>"
    with pytest.raises(ValueError, match=r"Tokenizer\.chat: the GGUF file has no chat template"):
        smollm.chat(chat)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"needs the package tokenizers.*'tinynn\[llm\]'"):
        Tokenizer.from_gguf({})

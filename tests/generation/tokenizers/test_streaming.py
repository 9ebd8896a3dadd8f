"""Pieces of a stream: never half a character, and together what decoding gives."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.generation.texts import mixed_lines
from tests.generation.vocabularies import byte_level, sentence_pieces
from tinynn.generation import StreamDecoder, Tokenizer

TOKENIZERS = {
    "byte level": Tokenizer.from_gguf(byte_level("smollm")),
    "sentence pieces": Tokenizer.from_gguf(sentence_pieces()),
    "sentence pieces without a leading space": Tokenizer.from_gguf(
        sentence_pieces(add_space_prefix=False)
    ),
}
every_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)


def pieces(stream: StreamDecoder, ids: list[int]) -> list[str]:
    return [*(stream.push(id) for id in ids), stream.finish()]


@every_tokenizer
def test_pieces_are_the_text(tokenizer):
    for line in mixed_lines(1000, seed=4):
        ids = tokenizer.encode(line, add_special=False)
        found = pieces(tokenizer.stream(), ids)
        assert "".join(found) == tokenizer.decode(ids, skip_special=True)
        assert found[-1] == ""
        if "\ufffd" not in line:
            assert not any("\ufffd" in piece for piece in found)


@every_tokenizer
@given(data=st.data(), skip=st.booleans())
def test_pieces_of_any_ids_are_what_decoding_gives(tokenizer, data, skip):
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=30))
    assert "".join(pieces(tokenizer.stream(skip), ids)) == tokenizer.decode(ids, skip)


@given(
    st.lists(st.sampled_from([b"\xf0", b"\x9f", b"\x99", b"\x82", b"\xe2", b"a", b"\xed", b"\xa0"]))
)
def test_broken_bytes_are_replaced_as_in_decoding(parts):
    tokenizer = TOKENIZERS["sentence pieces"]
    ids = [3 + part[0] for part in parts]
    assert "".join(pieces(tokenizer.stream(), ids)) == b"".join(parts).decode("utf-8", "replace")


@every_tokenizer
def test_each_character_comes_with_its_last_byte(tokenizer):
    ids = tokenizer.encode("🦀", add_special=False)
    *before, last, rest = pieces(tokenizer.stream(), ids)
    assert (set(before) <= {""}, last, rest) == (True, "🦀", "")


def test_half_a_character_comes_at_the_end():
    tokenizer = TOKENIZERS["sentence pieces"]
    stream = tokenizer.stream()
    assert [stream.push(3 + byte) for byte in b"\xf0\x9f"] == ["", ""]
    assert stream.finish() == "\ufffd"
    assert stream.finish() == "", "it is as new"


def test_control_tokens_are_skipped_even_within_a_character():
    tokenizer = TOKENIZERS["byte level"]
    first, *others = tokenizer.encode("🦀")
    ids = [1, first, 0, *others, 0]
    assert "".join(pieces(tokenizer.stream(), ids)) == "🦀"
    shown = pieces(tokenizer.stream(skip_special=False), ids)
    assert "".join(shown) == tokenizer.decode(ids)
    assert shown[0] == "<|start|>"


def test_the_space_before_the_first_word_is_left_out_once():
    tokenizer = TOKENIZERS["sentence pieces"]
    ids = tokenizer.encode("  a b", add_special=True)
    assert "".join(pieces(tokenizer.stream(), ids)) == "  a b"
    stream = tokenizer.stream()
    for _ in range(2):
        assert "".join(pieces(stream, ids)) == "  a b"
    assert "".join(pieces(tokenizer.stream(continues=True), ids)) == "   a b"


def test_wrong_ids_are_refused_and_change_nothing():
    stream = TOKENIZERS["byte level"].stream()
    first, *others = TOKENIZERS["byte level"].encode("🦀")
    stream.push(first)
    with pytest.raises(ValueError, match="there is no token 901"):
        stream.push(901)
    with pytest.raises(TypeError, match="a token id is an int, got str"):
        stream.push("a")
    assert "".join(pieces(stream, others)) == "🦀"


def test_a_token_costs_the_same_late_in_a_text():
    """A decoder that went back to what came before would make a copy of it."""
    tokenizer = TOKENIZERS["byte level"]
    stream, ids = tokenizer.stream(), tokenizer.encode("a word 🦀 ") * 20_000
    assert sum(len(stream.push(id)) for id in ids) == 9 * 20_000
    tracemalloc.start()
    for id in ids[:1000]:
        stream.push(id)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000

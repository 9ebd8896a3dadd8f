"""Tokenizers of Hugging Face folders: the ids are those of transformers."""

from __future__ import annotations

import json

import pytest

from tests.generation.texts import mixed_lines
from tests.generation.vocabularies import (
    byte_level,
    sentence_pieces,
    write_byte_level_folder,
    write_sentence_piece_folder,
)
from tinynn.generation import Tokenizer
from tinynn.training.vocabulary import Characters

LINES = mixed_lines(1000, seed=3)
WRITERS = {"byte level": write_byte_level_folder, "sentence pieces": write_sentence_piece_folder}


def write(path, name, content):
    (path / name).write_text(json.dumps(content))


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_ids_and_texts_are_those_of_transformers(writer, tmp_path):
    transformers = pytest.importorskip("transformers")
    writer(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = Tokenizer.from_folder(tmp_path)
    for line in LINES:
        ids = theirs.encode(line)
        assert ours.encode(line) == ids
        assert ours.encode(line, add_special=False) == theirs.encode(line, add_special_tokens=False)
        for skip in (False, True):
            assert ours.decode(ids, skip) == theirs.decode(ids, skip_special_tokens=skip)


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_a_folder_and_a_gguf_file_of_one_vocabulary_agree(writer, tmp_path):
    writer(tmp_path)
    folder = Tokenizer.from_folder(tmp_path)
    same = byte_level("smollm") if writer is write_byte_level_folder else sentence_pieces()
    gguf = Tokenizer.from_gguf(same)
    assert repr(folder) == repr(gguf)
    for line in LINES:
        assert folder.encode(line) == gguf.encode(line)
    for id in range(gguf.vocab_size):
        assert folder.token_bytes(id) == gguf.token_bytes(id)
        assert folder.is_special(id) == gguf.is_special(id) or id == 0


@pytest.mark.parametrize("scheme", ["always", "first", "never"])
def test_metaspace_joins_tokens_too(scheme, tmp_path):
    write_sentence_piece_folder(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    spaces = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": False}
    content |= {"pre_tokenizer": spaces, "decoder": spaces, "normalizer": None}
    write(tmp_path, "tokenizer.json", content)
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.leading_space == (scheme != "never")
    for text in ("two words", "", "x  y "):  # Metaspace adds no space before a space
        assert tokenizer.decode(tokenizer.encode(text, add_special=False)) == text
    assert tokenizer.token_bytes(3 + 0x41) == b"<0x41>", "no byte without ByteFallback"


def write_characters(folder, *added):
    """A vocabulary of the letters a to e alone, as `tinynn train gpt` leaves it."""
    content = json.loads(Characters("abcde").to_json())
    content["added_tokens"] = [
        {"id": 5 + place, "content": text, "special": True, "single_word": False}
        | {"lstrip": False, "rstrip": False, "normalized": False}
        for place, text in enumerate(added)
    ]
    write(folder, "tokenizer.json", content)


def test_characters_that_a_vocabulary_of_characters_lacks_are_refused(tmp_path):
    write_characters(tmp_path)
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.encode("deadbeef"[:-1]) == [3, 4, 0, 3, 1, 4, 4]
    lost = r"has no token for '\\n', ' ', 'ü', '€'; .* its 5 characters"
    with pytest.raises(ValueError, match=lost):
        tokenizer.encode("bade €aü\n€")
    with pytest.raises(ValueError, match=f"{tmp_path} has no token for 'A', 'B', .* and 16 more;"):
        tokenizer.encode("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def test_a_control_token_may_be_of_other_characters(tmp_path):
    write_characters(tmp_path, "<é>")
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.encode("a<é>b") == [0, 5, 1]
    with pytest.raises(ValueError, match="has no token for 'é'; "):
        tokenizer.encode("a<é>bé")
    with pytest.raises(ValueError, match="has no token for '<', '>', 'é'; "):
        tokenizer.encode("a<é>b", parse_special=False)


def test_all_ends_count(tmp_path):
    write_byte_level_folder(tmp_path)
    write(tmp_path, "config.json", {"eos_token_id": 7, "bos_token_id": 8, "pad_token_id": 5})
    assert Tokenizer.from_folder(tmp_path).eos_ids == (0, 7)
    assert Tokenizer.from_folder(tmp_path).pad_id == 5
    write(tmp_path, "generation_config.json", {"eos_token_id": [4, 0, 9], "pad_token_id": 6})
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert (tokenizer.eos_ids, tokenizer.pad_id, tokenizer.bos_id) == ((0, 4, 9), 6, 1)


def test_settings_beside_the_vocabulary_may_be_missing(tmp_path):
    write_byte_level_folder(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert (tokenizer.bos_id, tokenizer.eos_ids) == (None, ())
    for token in ("<|end|>", {"content": "<|end|>"}):
        write(tmp_path, "special_tokens_map.json", {"eos_token": token})
        assert Tokenizer.from_folder(tmp_path).eos_ids == (0,)


def test_tokens_of_the_settings_are_added(tmp_path):
    write_byte_level_folder(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings["added_tokens_decoder"] = {"901": {"content": "<|more|>", "special": True}}
    write(tmp_path, "tokenizer_config.json", settings)
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.encode("<|more|>") == [901]
    assert tokenizer.is_special(901)
    settings["added_tokens_decoder"] = {"950": {"content": "<|more|>"}}
    write(tmp_path, "tokenizer_config.json", settings)
    with pytest.raises(ValueError, match=r"adds '<\|more\|>' as token 950, but it would be 901"):
        Tokenizer.from_folder(tmp_path)


def test_the_chat_template_is_found(tmp_path):
    write_byte_level_folder(tmp_path)
    assert Tokenizer.from_folder(tmp_path).chat_template is None
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "listed"}]
    for template, expected in (("plain", "plain"), (named, "listed")):
        write(tmp_path, "tokenizer_config.json", settings | {"chat_template": template})
        assert Tokenizer.from_folder(tmp_path).chat_template == expected
    (tmp_path / "chat_template.jinja").write_text("{{ bos_token }}file{{ eos_token }}")
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.chat([{"role": "user", "content": ""}]) == "<|start|>file<|end|>"


def test_truncation_is_not_ours(tmp_path):
    write_byte_level_folder(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["truncation"] = {
        "max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right",
    }  # fmt: skip
    write(tmp_path, "tokenizer.json", content)
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.decode(tokenizer.encode("a longer text")) == "a longer text"


def test_what_is_not_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no tokenizer\.json; transformers makes one"):
        Tokenizer.from_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        Tokenizer.from_folder(tmp_path / "nowhere")
    write(tmp_path, "tokenizer.json", {"model": 1})
    with pytest.raises(ValueError, match=r"Tokenizer\.from_folder: .*tokenizer\.json: "):
        Tokenizer.from_folder(tmp_path)
    write_byte_level_folder(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    write(tmp_path, "tokenizer.json", content | {"decoder": {"type": "BPEDecoder", "suffix": "_"}})
    with pytest.raises(ValueError, match="joins tokens by BPEDecoder; expected"):
        Tokenizer.from_folder(tmp_path)
    write_byte_level_folder(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"tokenizer_config\.json: is a JSON list"):
        Tokenizer.from_folder(tmp_path)

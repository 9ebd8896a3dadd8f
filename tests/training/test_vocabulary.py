"""Vocabularies that are made of a text: ids and texts, and that others read them."""

import sys

import numpy as np
import pytest

from tinynn.generation import Tokenizer
from tinynn.training import vocabulary
from tinynn.training.vocabulary import BytePairs, Characters, read_vocabulary

TEXT = "ROMEO:\nO, she doth teach the torches to burn bright! ▁ é 語 \U0001f600\n\n  Ay me.\n" * 9


def ids_of(made, text):
    return np.concatenate(list(made.encode(text))).tolist()


@pytest.fixture(params=["char", "bpe"])
def made(request):
    if request.param == "bpe":
        pytest.importorskip("tokenizers")
    return vocabulary.vocabulary_of(TEXT, request.param, 300)


def test_a_text_comes_back(made, monkeypatch):
    expected = ids_of(made, TEXT)
    assert made.decode(expected) == TEXT
    assert max(expected) < made.size
    monkeypatch.setattr(vocabulary, "PART", 100)  # lines are cut where GPT-2 cuts them as well
    assert made.decode(ids_of(made, TEXT)) == TEXT


def test_a_line_longer_than_a_part_comes_back(made, monkeypatch):
    monkeypatch.setattr(vocabulary, "PART", 5)
    assert made.decode(ids_of(made, TEXT)) == TEXT


def test_it_is_written_and_read(made):
    again = read_vocabulary(made.to_json())
    assert type(again) is type(made)
    assert again.size == made.size
    assert ids_of(again, TEXT) == ids_of(made, TEXT)


def test_tokenizers_for_generation_read_it(made, tmp_path):
    pytest.importorskip("tokenizers")
    (tmp_path / "tokenizer.json").write_text(made.to_json(), "utf-8")
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.vocab_size == made.size
    assert tokenizer.encode(TEXT) == ids_of(made, TEXT)
    assert tokenizer.decode(ids_of(made, TEXT)) == TEXT


def test_transformers_reads_it(made, tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "tokenizer.json").write_text(made.to_json(), "utf-8")
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    assert theirs.encode(TEXT) == ids_of(made, TEXT)
    assert theirs.decode(ids_of(made, TEXT), clean_up_tokenization_spaces=False) == TEXT


def test_a_character_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="'z' is not one of the 3 characters"):
        list(Characters("abc").encode("abz"))


def test_byte_pairs_are_as_many_as_asked_for_and_never_too_few():
    pytest.importorskip("tokenizers")
    assert BytePairs.of(TEXT, 270).size == 270
    with pytest.raises(ValueError, match="size is 255, expected at least 256"):
        BytePairs.of(TEXT, 255)


def test_without_the_package_characters_work_and_byte_pairs_say_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert Characters.of(TEXT).size == len(set(TEXT))
    with pytest.raises(ImportError, match=r"pip install 'tinynn\[llm\]'"):
        BytePairs.of(TEXT, 300)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"model": {"vocab": {"a": 5}, "merges": []}}']
)
def test_another_file_is_damaged(content):
    with pytest.raises(ValueError, match=r"tokenizer\.json is damaged"):
        read_vocabulary(content)

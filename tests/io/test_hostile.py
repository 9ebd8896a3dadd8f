"""Files that mean harm are read or refused by one line, in bounded memory; nothing else happens.

`TINYNN_HOSTILE_FILES=100000 pytest tests/io/test_hostile.py` looks harder.
"""

from __future__ import annotations

import os
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.io.hostile import damaged, outcome
from tinynn.io import (
    StoredTensor,
    mapped_safetensors,
    read_folder,
    read_gguf,
    save_folder,
    save_safetensors,
    write_gguf,
)
from tinynn.io.stored_types import TYPES

COUNT = int(os.environ.get("TINYNN_HOSTILE_FILES", 2000))


@pytest.fixture(scope="module", autouse=True)
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def read_values(tensors):
    """Values are read, too: what a header promised must be there."""
    for tensor in tensors.values():
        assert tensor.raw.nbytes == tensor.nbytes
        if tensor.type in ("Q4_0", "Q4_1", "Q8_0") or TYPES[tensor.type].dtype:
            assert tensor.float32().shape == tensor.shape


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """By name: a valid file's content, the bytes of its header, and what reads it."""
    folder = tmp_path_factory.mktemp("valid")
    metadata = {"general.architecture": "llama", "general.alignment": 32, "a": [1, 2], "b": True}
    metadata |= {"tokens": ["Ġ", "a", "ü"], "c": 0.5, "flags": [True, False]}
    tensors = {f"t{i}": np.ones((2, i), t) for i, t in enumerate(["f4", "f2", "i4", "f8"], 1)}
    block = StoredTensor("q", "Q4_1", (2, 32), np.zeros(40, np.uint8))
    write_gguf(folder / "gguf", metadata, tensors | {"q": block})
    save_safetensors(folder / "safetensors", tensors, {"format": "pt"})
    gguf, safetensors = (folder / "gguf").read_bytes(), (folder / "safetensors").read_bytes()
    return {
        "gguf": (gguf, len(gguf) - 200, lambda path: read_values(read_gguf(path).tensors)),
        "safetensors": (
            safetensors,
            len(safetensors) - 80,
            lambda path: read_values(mapped_safetensors(path)),
        ),
    }


@pytest.mark.parametrize("kind", ["gguf", "safetensors"])
def test_damaged_headers(tmp_path, kinds, kind):
    content, header, read = kinds[kind]
    path = tmp_path / "file"
    path.write_bytes(content)
    assert outcome(read, path)
    accepted = 0
    for seed in range(COUNT):
        path.write_bytes(damaged(content, random.Random(seed), header))
        accepted += outcome(read, path)
    print(f"{COUNT} damaged {kind} files: {accepted} read, {COUNT - accepted} refused")
    assert COUNT / 100 < accepted < COUNT / 2


@given(st.data())
def test_any_change(tmp_path_factory, kinds, data):
    content, _, read = kinds[data.draw(st.sampled_from(["gguf", "safetensors"]))]
    at = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(at, len(content)))
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(content[:at] + data.draw(st.binary(max_size=40)) + content[end:])
    outcome(read, path)


def test_damaged_folders(tmp_path):
    folder = tmp_path / "model"
    tensors = {name: np.ones((3, 4), np.float32) for name in "abcd"}
    config = {"hidden_size": 4, "rope_scaling": {"factor": 2.0}, "architectures": ["X"]}
    save_folder(folder, config, tensors, shard_size=100)
    files = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    for seed in range(COUNT // 4):
        draw = random.Random(seed)
        path, content = draw.choice(list(files.items()))
        path.write_bytes(damaged(content, draw))
        try:
            outcome(lambda _: read_values(read_folder(folder).tensors), path)
        except FileNotFoundError:
            assert path.name.endswith("index.json")
        path.write_bytes(content)

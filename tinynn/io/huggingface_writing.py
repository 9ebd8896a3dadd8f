"""Writing folders that transformers, and what else reads its folders, can load."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.io.atomic import StrPath, atomic_folder
from tinynn.io.huggingface import CONFIG, INDEX, WEIGHTS
from tinynn.io.safetensors import save_safetensors
from tinynn.io.safetensors_header import header_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Array = np.ndarray[Any, Any]

# transformers refuses files without it; the values are the same whoever wrote them.
_METADATA = {"format": "pt"}


def save_folder(
    path: StrPath,
    config: Mapping[str, Any],
    tensors: Mapping[str, Array],
    *,
    shard_size: int = 5 * 10**9,
    extra_files: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a folder of settings and weights, which appears as a whole.

    Arguments:
        path: the folder, which must not exist, unless it is to be overwritten; the folder above it
            does.
        config: the content of config.json; `architectures` and `model_type` tell transformers
            which model it is.
        tensors: by name, arrays of any shape and layout, in a dtype that `save_safetensors` takes.
        shard_size: the bytes of values that a file may hold; a larger tensor has one to itself.
            What does not fit in one file goes in several, with an index.
        extra_files: other files by name, such as tokenizer.json.
        overwrite: replace the folder that is there, as a whole.

    Raises:
        ValueError: a setting that JSON cannot hold, a tensor that is not an array or has a dtype
            that the format cannot hold, or a name of a file that leaves the folder or is taken.
        FileExistsError: `path` exists; what is there stays as it is.
        OSError: the folder cannot be written.

    >>> import tempfile
    >>> from tinynn.io import read_folder
    >>> path = os.path.join(tempfile.mkdtemp(), "model")
    >>> weights = {"a": np.zeros(3, np.float32), "b": np.ones((2, 2), np.float32)}
    >>> save_folder(path, {"model_type": "llama"}, weights, shard_size=16)
    >>> sorted(os.listdir(path))[1:3]
    ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
    >>> read_folder(path).tensors["b"].array().sum()
    np.float32(4.0)
    """
    where = f"save_folder: {path}"
    _check_tensors(tensors, where)
    if shard_size < 1:
        raise ValueError(f"{where}: shard_size is {shard_size}, expected 1 or more bytes")
    shards = list(_shards(tensors, shard_size))
    if len(shards) == 1:
        files = {WEIGHTS: shards[0]}
    else:
        count = len(shards)
        files = {f"model-{i:05}-of-{count:05}.safetensors": s for i, s in enumerate(shards, 1)}
    texts = {CONFIG: _as_json(dict(config), where)} | _checked(extra_files or {}, where)
    if len(files) > 1:
        texts[INDEX] = _as_json(_index(files), where)
    with atomic_folder(path, overwrite) as folder:
        for file, shard in files.items():
            save_safetensors(folder / file, shard, _METADATA)
        _write(folder, texts)


def _check_tensors(tensors: Mapping[str, Any], where: str) -> None:
    for name, array in tensors.items():
        if not isinstance(array, np.ndarray):
            kind = array.__class__.__name__
            raise ValueError(f"{where}: tensor {name!r:.80} is a {kind}, expected a NumPy array")
    try:
        header_bytes(tensors, _METADATA)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _shards(tensors: Mapping[str, Array], limit: int) -> Iterator[dict[str, Array]]:
    """The tensors in order, as many together as the limit allows; one shard if there are none."""
    shard: dict[str, Array] = {}
    size = 0
    for name, array in tensors.items():
        if shard and size + array.nbytes > limit:
            yield shard
            shard, size = {}, 0
        shard[name] = array
        size += array.nbytes
    yield shard


def _index(files: Mapping[str, Mapping[str, Array]]) -> dict[str, Any]:
    total = sum(array.nbytes for shard in files.values() for array in shard.values())
    weight_map = {name: file for file, shard in files.items() for name in shard}
    return {"metadata": {"total_size": total}, "weight_map": weight_map}


def _as_json(content: dict[str, Any], where: str) -> bytes:
    import json

    try:
        return (json.dumps(content, indent=2) + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{where}: config cannot be written as JSON: {error}") from None


def _checked(extra_files: Mapping[str, bytes], where: str) -> dict[str, bytes]:
    for name, content in extra_files.items():
        plain = isinstance(name, str) and name == os.path.basename(name) and "\0" not in name
        if not plain or name in ("", ".", ".."):
            raise ValueError(f"{where}: extra file {name!r:.80} is not a plain name of a file")
        if name in (CONFIG, INDEX) or name.endswith(".safetensors"):
            raise ValueError(f"{where}: extra file {name!r:.80} has a name that is taken")
        if not isinstance(content, bytes):
            raise ValueError(
                f"{where}: extra file {name!r:.80} is a {type(content).__name__}, expected bytes"
            )
    return dict(extra_files)


def _write(folder: Path, texts: Mapping[str, bytes]) -> None:
    for name, content in texts.items():
        (folder / name).write_bytes(content)

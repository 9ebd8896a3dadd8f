"""Folders as Hugging Face's transformers writes them: settings in JSON, weights in safetensors.

    config.json | generation_config.json (not always) | model.safetensors

The weights of a large model are in several files, its shards, and `model.safetensors.index.json`
says which tensor is in which. Pickled weights (`pytorch_model.bin`) are programs, and never read.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tinynn.io.json_object import parse_object
from tinynn.io.safetensors_header import stored_tensors
from tinynn.io.stored import StoredTensor, map_file, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinynn.io.atomic import StrPath

MAX_JSON = 100_000_000  # bytes
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


class HuggingFaceFolder(NamedTuple):
    """What `read_folder` gives.

    Attributes:
        path: the folder.
        config: the content of config.json.
        generation_config: the content of generation_config.json; empty where there is none.
        tensors: by name, mapped, of all shards.
    """

    path: Path
    config: dict[str, Any]
    generation_config: dict[str, Any]
    tensors: Mapping[str, StoredTensor]

    def __repr__(self) -> str:
        return f"HuggingFaceFolder({str(self.path)!r}, {len(self.tensors)} tensors)"


def read_folder(path: StrPath) -> HuggingFaceFolder:
    """Reads the settings of a folder and maps its tensors, whose values are read when asked for.

    Raises:
        ValueError: a file is damaged, truncated or hostile, or index and shards disagree; the
            message is one line that names the file, the field and what was expected.
        OSError: config.json or the weights are missing or not readable.

    >>> import os, tempfile
    >>> import numpy as np
    >>> from tinynn.io import save_folder
    >>> path = os.path.join(tempfile.mkdtemp(), "model")
    >>> save_folder(path, {"model_type": "llama"}, {"norm": np.ones(4, np.float16)})
    >>> folder = read_folder(path)
    >>> folder.config, folder.tensors["norm"]
    ({'model_type': 'llama'}, StoredTensor('norm', F16, (4,)))
    """
    folder = Path(path)
    config = _read_json(folder / CONFIG)
    generation = folder / "generation_config.json"
    return HuggingFaceFolder(
        folder,
        config,
        _read_json(generation) if generation.exists() else {},
        MappingProxyType(_read_weights(folder)),
    )


def _read_json(path: Path, unique: bool = False) -> dict[str, Any]:
    content = map_file(path, "read_folder")
    if content.nbytes > MAX_JSON:
        raise ValueError(
            f"read_folder: {path}: has {content.nbytes} bytes, the limit is {MAX_JSON}"
        )
    return parse_object(content.tobytes(), f"read_folder: {path}", unique)


def _read_weights(folder: Path) -> dict[str, StoredTensor]:
    if (folder / WEIGHTS).exists():
        return _map(folder / WEIGHTS)
    if not (folder / INDEX).exists():
        pickled = any(folder.glob("pytorch_model*.bin"))
        hint = "; pickled weights (pytorch_model.bin) are not read" if pickled else ""
        raise FileNotFoundError(f"read_folder: {folder} has neither {WEIGHTS} nor {INDEX}{hint}")
    return _read_shards(folder)


def _map(path: Path) -> dict[str, StoredTensor]:
    return stored_tensors(map_file(path, "read_folder"), path, "read_folder")


def _read_shards(folder: Path) -> dict[str, StoredTensor]:
    index = folder / INDEX
    where = f"read_folder: {index}"
    weight_map = _read_json(index, unique=True).get("weight_map")
    if not isinstance(weight_map, dict):
        raise ValueError(f"{where}: weight_map is missing or not an object")
    names_of: dict[str, set[str]] = {}
    for name, file in weight_map.items():
        if not _is_plain(file):
            raise ValueError(
                f"{where}: weight_map of {shown(name)} is {shown(str(file))}, expected the name of "
                "a .safetensors file in the folder"
            )
        names_of.setdefault(file, set()).add(name)
    found: dict[str, StoredTensor] = {}
    for file, names in names_of.items():
        shard = _map(folder / file)
        _compare(names, shard, f"{where}: {shown(file)}")
        found.update(shard)
    return {name: found[name] for name in weight_map}


def _compare(names: set[str], shard: dict[str, StoredTensor], where: str) -> None:
    """Index and shard must name the same tensors, else a weight is missing or is there twice."""
    for name in sorted(names - shard.keys()):
        raise ValueError(f"{where} lacks tensor {shown(name)}, which the index puts there")
    for name in sorted(shard.keys() - names):
        raise ValueError(f"{where} holds tensor {shown(name)}, which the index does not put there")


def _is_plain(file: Any) -> bool:
    """Whether a name stays in its folder: an index must not open other files of the user."""
    if not isinstance(file, str) or not file.isprintable() or len(file.encode()) > 255:
        return False
    return file.endswith(".safetensors") and "/" not in file and "\\" not in file

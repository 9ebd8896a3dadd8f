"""Checkpoints: folders that hold all that training needs to go on, bit for bit.

    checkpoints/
        latest                   the name of the newest complete checkpoint, one line
        checkpoint-860/
            model.safetensors    the model's state_dict
            training.safetensors every other array: the optimizer's buffers and the like
            state.json           everything else, and the SHA-256 of the three files

A checkpoint is written under a temporary name, reaches the disk and is renamed; then `latest` is
replaced; then old ones are deleted. So whatever happens, there is a complete one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinynn.autograd import Tensor
from tinynn.io.atomic import StrPath, atomic_folder, atomic_write, remove_leftovers
from tinynn.io.safetensors import load_safetensors, save_safetensors
from tinynn.ops.conversion import host
from tinynn.training.health import TrainingWarning

__all__ = ["Checkpoint", "Checkpoints", "DamagedCheckpoint", "load_checkpoint"]

Array = NDArray[Any]

FORMAT = 1
POINTER = "latest"
MODEL_FILE = "model.safetensors"
ARRAYS_FILE = "training.safetensors"
STATE_FILE = "state.json"
PREFIX = "checkpoint-"


class DamagedCheckpoint(ValueError):
    """A checkpoint's files are missing, cut short or changed; the message names the checkpoint."""


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    path: Path
    model: dict[str, Array]
    state: Any
    """The tree given to `save`: dicts, lists, strings, numbers, None, NumPy arrays."""


class Checkpoints:
    """The checkpoints in a folder, the newest `keep` of them and any that is asked for.

    >>> import tempfile
    >>> checkpoints = Checkpoints(tempfile.mkdtemp())
    >>> path = checkpoints.save(860, {"weight": np.ones(2)}, {"epoch": 1})
    >>> path.name, checkpoints.newest().state
    ('checkpoint-860', {'epoch': 1})
    """

    def __init__(self, folder: StrPath, keep: int = 2) -> None:
        if keep < 1:
            raise ValueError(f"Checkpoints: keep is {keep}, expected at least 1")
        self.folder = Path(folder)
        self.keep = keep

    def save(
        self, step: int, model: Mapping[str, Array], state: Any, protect: Container[int] = ()
    ) -> Path:
        """Writes `checkpoint-<step>`, points `latest` to it, then deletes the old ones.

        Arguments:
            model: arrays by name.
            state: a tree of dicts, lists, strings, numbers, None, tensors and arrays.
            protect: steps whose checkpoints are not deleted.

        Raises OSError when it cannot be written (a full disk); the checkpoints before it stay.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(step)
        if path.exists():  # left by a run that was cut off before it moved the pointer
            shutil.rmtree(path)
        try:
            with atomic_folder(path) as folder:
                _write(folder, model, state)
            with atomic_write(self.folder / POINTER, "w") as file:
                file.write(f"{path.name}\n")
        except OSError as error:
            error.filename, error.filename2 = str(path), None
            raise
        self._prune(step, protect)
        return path

    def path(self, step: int) -> Path:
        return self.folder / f"{PREFIX}{step}"

    def steps(self) -> list[int]:
        """The steps of the checkpoints in the folder, in order, whether they are whole or not."""
        names = (entry.name for entry in self.folder.glob(f"{PREFIX}*"))
        numbers = (name.removeprefix(PREFIX) for name in names)
        return sorted(int(number) for number in numbers if number.isdecimal())

    def newest(self) -> Checkpoint | None:
        """The checkpoint that `latest` names; if it is damaged, the one before, with a warning.

        None if there are no checkpoints; DamagedCheckpoint if there are, but none can be read.
        """
        damage: DamagedCheckpoint | None = None
        for path in self._candidates():
            try:
                checkpoint = load_checkpoint(path)
            except DamagedCheckpoint as error:
                damage = damage or error
                continue
            if damage is not None:
                warnings.warn(TrainingWarning(f"{damage}; going on from {path.name}"), stacklevel=2)
            return checkpoint
        if damage is not None:
            raise DamagedCheckpoint(f"{damage}; there is no other checkpoint to go on from")
        return None

    def _candidates(self) -> Iterator[Path]:
        paths = [self.path(step) for step in reversed(self.steps())]
        try:
            pointed = self.folder / (self.folder / POINTER).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            pointed = None
        # What is newer than the target comes after it, although it is as good: its run was
        # cut off before it could say so.
        yield from sorted(paths, key=lambda path: path != pointed)

    def _prune(self, step: int, protect: Container[int]) -> None:
        # A later step belongs to a run that was cut off and has been resumed from before it.
        later = [other for other in self.steps() if other > step]
        earlier = [other for other in self.steps() if other <= step][: -self.keep]
        for other in later + [other for other in earlier if other not in protect]:
            shutil.rmtree(self.path(other), ignore_errors=True)
        remove_leftovers(self.folder)


def load_checkpoint(path: StrPath) -> Checkpoint:
    """Reads a checkpoint and checks that it is whole. Raises DamagedCheckpoint."""
    folder = Path(path)
    try:
        document = json.loads((folder / STATE_FILE).read_text("utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}, this version reads format {FORMAT}")
        if document["sha256"][STATE_FILE] != _digest(_text(document["state"])):
            raise ValueError(f"{STATE_FILE} does not match its checksum")
        for name in (MODEL_FILE, ARRAYS_FILE):
            if document["sha256"][name] != _digest((folder / name).read_bytes()):
                raise ValueError(f"{name} does not match its checksum")
        arrays = load_safetensors(folder / ARRAYS_FILE)
        model = load_safetensors(folder / MODEL_FILE)
        return Checkpoint(folder, model, _unpack(document["state"], arrays))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise DamagedCheckpoint(f"checkpoint {folder} is damaged ({reason})") from error


def _write(folder: Path, model: Mapping[str, Array], state: Any) -> None:
    arrays: dict[str, Array] = {}
    tree = _pack(state, arrays, "state")
    save_safetensors(folder / MODEL_FILE, model)
    save_safetensors(folder / ARRAYS_FILE, arrays)
    digests = {name: _digest((folder / name).read_bytes()) for name in (MODEL_FILE, ARRAYS_FILE)}
    digests[STATE_FILE] = _digest(_text(tree))
    document = {"format": FORMAT, "sha256": digests, "state": tree}
    (folder / STATE_FILE).write_text(json.dumps(document, indent=1), "utf-8")


def _text(tree: Any) -> bytes:
    return json.dumps(tree, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _pack(tree: Any, arrays: dict[str, Array], name: str) -> Any:
    """The tree as JSON can hold it: arrays go to `arrays`, other keys than strings into pairs."""
    if isinstance(tree, Tensor):
        tree = host(tree)
    if isinstance(tree, np.ndarray):
        arrays[name] = tree
        return {"$array": name}
    if isinstance(tree, np.generic):
        return tree.item()
    if isinstance(tree, Mapping):
        if all(isinstance(key, str) for key in tree):
            return {key: _pack(value, arrays, f"{name}.{key}") for key, value in tree.items()}
        return {"$pairs": [[key, _pack(tree[key], arrays, f"{name}.{key}")] for key in tree]}
    if isinstance(tree, list | tuple):
        return [_pack(value, arrays, f"{name}.{index}") for index, value in enumerate(tree)]
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise TypeError(f"checkpoint: {name} is a {type(tree).__name__}, which cannot be written")


def _unpack(tree: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(tree, list):
        return [_unpack(value, arrays) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if "$array" in tree:
        return arrays[tree["$array"]]
    if "$pairs" in tree:
        return {key: _unpack(value, arrays) for key, value in tree["$pairs"]}
    return {key: _unpack(value, arrays) for key, value in tree.items()}

"""metrics.jsonl: a JSON object per line, one for each epoch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tinynn.io.atomic import StrPath, atomic_write

__all__ = ["append_row", "read_rows", "write_rows"]


def append_row(path: StrPath, row: Mapping[str, Any]) -> None:
    """Adds a line and brings it to the disk."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(_line(row))
        file.flush()
        os.fsync(file.fileno())


def write_rows(path: StrPath, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replaces the file by these rows.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "metrics.jsonl")
    >>> write_rows(path, [{"epoch": 1, "train_loss": 0.5}])
    >>> append_row(path, {"epoch": 2, "train_loss": 0.25})
    >>> [row["epoch"] for row in read_rows(path)]
    [1, 2]
    """
    with atomic_write(path, "w") as file:
        file.writelines(_line(row) for row in rows)


def read_rows(path: StrPath) -> list[dict[str, Any]]:
    """The rows of the file; ValueError names a line that is not a JSON object."""
    rows = []
    for number, line in enumerate(Path(path).read_bytes().splitlines(), start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise ValueError(f"{path}: line {number} is not a JSON object")
        rows.append(row)
    return rows


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False) + "\n"

"""JSON objects from files that may come from anyone."""

from __future__ import annotations

from typing import Any

# Each bracket and comma may cost a hundred bytes of memory for one of the file.
MAX_PARTS = 2**21


def parse_object(text: bytes, where: str, unique: bool = True) -> dict[str, Any]:
    """Parses a JSON object.

    Arguments:
        text: the JSON, in UTF-8.
        where: the operation and the file, for the error.
        unique: a name that comes twice in an object is an error; else its last value counts, as
            elsewhere in Python.

    Raises:
        ValueError: not JSON in UTF-8, not an object, nested too deep, or of too many parts.

    >>> parse_object(b'{"width": 576}', "read_folder: config.json")
    {'width': 576}
    >>> parse_object(b'{"width": 576, "width": 577}', "read_folder: config.json")
    Traceback (most recent call last):
    ValueError: read_folder: config.json: name 'width' comes twice
    """
    import json

    parts = sum(text.count(sign) for sign in (b"{", b"[", b","))
    if parts > MAX_PARTS:
        raise ValueError(f"{where}: has {parts} brackets and commas, the limit is {MAX_PARTS}")
    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=_unique if unique else None)
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: byte {error.start} is not UTF-8") from None
    except _TwiceError as error:
        raise ValueError(f"{where}: name {error!s:.80} comes twice") from None
    except RecursionError:
        raise ValueError(f"{where}: is nested too deep") from None
    except ValueError as error:
        raise ValueError(f"{where}: is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{where}: is a JSON {type(content).__name__}, expected an object")
    return content


class _TwiceError(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        seen = set()
        for name, _ in pairs:
            if name in seen:
                raise _TwiceError(repr(name))
            seen.add(name)
    return content

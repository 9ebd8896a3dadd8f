"""What is said of a step that cannot be recorded, with the line of the user's that asks for it."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import FrameType

PACKAGE = str(Path(__file__).resolve().parents[1])

# The functions of the library that read a value, by the names their users know.
_ASKED = {
    "truth": "bool(tensor)",
    "to_int": "int(tensor)",
    "to_float": "float(tensor)",
    "index": "a tensor as an index",
    "to_array": "np.asarray(tensor)",
    "represent": "printing a tensor",
    "formatted": "formatting a tensor",
    "item": ".item()",
    "numpy": ".numpy()",
    "tolist": ".tolist()",
}


class CaptureError(RuntimeError):
    """A function given to `tn.compile` does what a replay cannot repeat."""


class CaptureWarning(UserWarning):
    """A compiled function runs, but not as fast as it could."""


def outlived() -> CaptureError:
    """The error of using what a recorded run has made when the run is over."""
    return CaptureError(
        f"a tensor made in an earlier call of a compiled function is used {asked_for()[1]}: it was "
        "kept outside of the function, where no replay renews it. Return it from the function"
    )


def shape_of_values(name: str) -> CaptureError:
    """The error of a result whose shape depends on values."""
    return CaptureError(
        f"{name}: the shape of the result depends on values, {asked_for()[1]}; a recorded step has "
        "shapes that are known. Choose with tn.where, or compute it outside of the function"
    )


def value_read(what: str = "the value of an array") -> CaptureError:
    """The error of reading a value while recording: it would be kept in all replays."""
    asked, line = asked_for()
    return CaptureError(
        f"{asked or what} while a step is recorded, {line}: a replay would go on with the value of "
        "now. Return the tensor and read it after the call, or choose with tn.where instead of if"
    )


def asked_for() -> tuple[str, str]:
    """(what was asked of the library, the line of the user's code that asked)."""
    frame: FrameType | None = sys._getframe(1)
    asked = ""
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        asked = _ASKED.get(frame.f_code.co_name, asked)
        frame = frame.f_back
    if frame is None:
        return asked, "within the library"
    file, number = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, number).strip()
    return asked, f"at {file}:{number}" + (f" ({text})" if text else "")

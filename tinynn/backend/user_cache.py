"""Where what can be made or fetched again is kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder of everything that can be fetched or computed again; it may not exist yet.

    `TINYNN_CACHE` where it is set, else `XDG_CACHE_HOME/tinynn`, else `~/.cache/tinynn`.
    """
    chosen = os.environ.get("TINYNN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "tinynn"

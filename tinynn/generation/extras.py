"""Packages that only language models need: loaded where they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def needed(package: str, operation: str) -> Any:
    """The module of a package of the extra `llm`.

    Arguments:
        package: its name, such as "tokenizers".
        operation: who asks, for the error.

    Raises:
        ImportError: it is not installed; the message says how to install it.

    >>> needed("json", "Tokenizer").__name__
    'json'
    """
    try:
        return import_module(package)
    except ImportError:
        raise ImportError(
            f"{operation} needs the package {package}, which is not installed: "
            "pip install 'tinynn[llm]'"
        ) from None

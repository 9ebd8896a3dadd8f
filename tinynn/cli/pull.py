"""`tinynn pull`: fetches a language model."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["EXAMPLES", "pull"]

EXAMPLES = """\b
Examples:
  tinynn pull smollm2
"""


def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="smollm2")] = "smollm2",
) -> None:
    """Fetch a language model, once, and print where it is."""
    from tinynn import generation

    print(generation.pull(name))

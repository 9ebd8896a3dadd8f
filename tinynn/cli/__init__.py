"""The `tinynn` command. Each of its commands is a thin file that calls the library."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Runs the command line and ends the process with its exit status."""
    import io
    import sys

    from tinynn.cli.app import run

    if sys.stdout is None:  # closed by who started us, who wants the work and not the words
        sys.stdout = io.StringIO()
    for stream in (sys.stdout, sys.stderr):  # a sign that cannot be written is no reason to stop
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))

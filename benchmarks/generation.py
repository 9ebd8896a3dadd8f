"""Language models against llama.cpp: python -m benchmarks.generation

A prompt of 512 tokens is read, and 16 tokens are written behind it, by tinynn and by llama.cpp on
the same GGUF file, in turn. Sixteen texts side by side are tinynn's alone; llama-cpp-python has no
call for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.harness import arguments, has_peer, header, plural, table, write_json
from benchmarks.workers import Candidate, Pace, time_in_turn
from tinynn.generation import pull

OURS, THEIRS, PEER = (
    "benchmarks.generation_calls",
    "benchmarks.generation_in_llama_cpp",
    "llama.cpp",
)
PROMPT, DEPTH, NEW, TEXTS = 512, 512, 16, 16


def measure(path: str, format: str, threads: int, pace: Pace, peers: bool) -> list[dict[str, Any]]:
    """Tokens a second of each task, of tinynn and of the peer."""
    tasks = {
        f"a prompt of {PROMPT}": (
            PROMPT,
            f"prompt({path!r}, {format!r}, {PROMPT})",
            f"prompt({path!r}, {PROMPT})",
        ),
        f"a text, behind {DEPTH}": (
            NEW,
            f"decode({path!r}, {format!r}, {DEPTH}, {NEW})",
            f"decode({path!r}, {DEPTH}, {NEW})",
        ),
        f"{TEXTS} texts, behind {DEPTH}": (
            NEW * TEXTS,
            f"decode({path!r}, {format!r}, {DEPTH}, {NEW}, {TEXTS})",
            None,
        ),
    }
    figures = []
    for task, (count, ours, theirs) in tasks.items():
        candidates = {"tinynn": Candidate(OURS, ours)}
        if peers and theirs is not None:
            candidates[PEER] = Candidate(THEIRS, theirs, "llama_cpp")
        rounds = time_in_turn(candidates, threads, pace)
        figure = {
            "task": task,
            "threads": threads,
            "tokens a second": {name: count / rounds.median(name) for name in rounds},
        }
        if PEER in rounds:
            figure["tinynn / llama.cpp"] = rounds.ratio(PEER, "tinynn")
        figures.append(figure)
    return figures


def report(figures: Sequence[dict[str, Any]]) -> None:
    """Prints the table, tokens a second."""
    rows = []
    for its in figures:
        speeds, ratio = its["tokens a second"], its.get("tinynn / llama.cpp")
        rows.append(
            [
                its["task"],
                its["threads"],
                *(f"{speeds[name]:.0f}" if name in speeds else "" for name in ("tinynn", PEER)),
                "" if ratio is None else f"{ratio:.2f}",
            ]
        )
    print(table(["tokens a second", "threads", "tinynn", PEER, "tinynn / llama.cpp"], rows))


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = arguments(__doc__)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="1 and 2")
    parser.add_argument("--model", metavar="FILE", help="a GGUF file; by default SmolLM2")
    parser.add_argument("--quantize", metavar="FORMAT", default="stored", help="stored")
    options = parser.parse_args(argv)
    path = options.model or str(pull())
    pace = Pace(3, 0.001) if options.quick else Pace(9, 0.5)
    peers = not options.quick and has_peer("llama_cpp")
    print(header(f"A language model on {plural(max(options.threads), 'thread')}"), flush=True)
    figures = [
        figure
        for threads in options.threads
        for figure in measure(path, options.quantize, threads, pace, peers)
    ]
    report(figures)
    write_json(options.json, "generation", {"format": options.quantize, "figures": figures})


if __name__ == "__main__":
    main()

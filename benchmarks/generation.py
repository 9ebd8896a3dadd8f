"""Language models against their peers: python -m benchmarks.generation [--device cuda]

A prompt of 512 tokens is read, and 16 tokens are written behind it, for one text and for several
side by side. On the CPU the peer is llama.cpp on the same GGUF file; llama-cpp-python has no call
for several texts. On a GPU it is transformers with a model of the same sizes in float16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.harness import arguments, has_peer, header, plural, table, write_json
from benchmarks.workers import Candidate, Pace, time_in_turn
from tinynn.generation import pull

OURS = "benchmarks.generation_calls"
PROMPT, DEPTH, NEW = 512, 512, 16


class Setting(NamedTuple):
    """What is measured on a device.

    Attributes:
        peer: its name; the package that it needs, the module with its calls.
        texts: how many are written side by side.
        formats, cache_dtypes: of weights, and of keys and values.
        of_peer: the format that the peer is compared in, and the most texts that it can write.
        pace: of the rounds.
    """

    peer: tuple[str, str, str]
    texts: list[int]
    formats: list[str]
    cache_dtypes: list[str]
    of_peer: tuple[str, int]
    pace: Pace


SETTINGS = {
    "cpu": Setting(
        ("llama.cpp", "llama_cpp", "benchmarks.generation_in_llama_cpp"),
        [1, 16],
        ["stored"],
        ["float32", "float16", "int8"],
        ("stored", 1),
        Pace(9, 0.5),
    ),
    "cuda": Setting(
        ("transformers", "transformers", "benchmarks.generation_in_transformers"),
        [1, 16, 64],
        ["none", "fp16", "stored"],
        ["float16"],
        ("fp16", 64),
        Pace(5, 0.4),
    ),
}


class Task(NamedTuple):
    """What is timed: how many tokens it reads or writes, and the calls that do it."""

    name: str
    tokens: int
    ours: str
    theirs: str


def tasks_of(path: str, format: str, cache_dtype: str, device: str) -> list[Task]:
    """Reading a prompt, and writing behind it."""
    setting = SETTINGS[device]
    given = f"{path!r}, {format!r}, {cache_dtype!r}, {device!r}"
    found = [
        Task(
            f"a prompt of {PROMPT}",
            PROMPT,
            f"prompt({given}, {PROMPT})",
            f"prompt({path!r}, {PROMPT})",
        )
    ]
    for texts in setting.texts:
        theirs = f"decode({path!r}, {DEPTH}, {NEW}, {texts})"
        found.append(
            Task(
                f"{plural(texts, 'text')}, behind {DEPTH}",
                NEW * texts,
                f"decode({given}, {DEPTH}, {NEW}, {texts})",
                theirs if texts <= setting.of_peer[1] else "",
            )
        )
    return found


def measure(
    path: str, format: str, cache_dtype: str, device: str, threads: int, pace: Pace, peers: bool
) -> list[dict[str, Any]]:
    """Tokens a second of each task, of tinynn and of the peer."""
    name, package, module = SETTINGS[device].peer
    peers = peers and format == SETTINGS[device].of_peer[0]
    figures = []
    for task in tasks_of(path, format, cache_dtype, device):
        candidates = {"tinynn": Candidate(OURS, task.ours)}
        if peers and task.theirs:
            candidates[name] = Candidate(module, task.theirs, package)
        rounds = time_in_turn(candidates, threads, pace)
        figure = {
            "task": task.name,
            "weights": format,
            "cache": cache_dtype,
            "threads": threads,
            "tokens a second": {one: task.tokens / rounds.median(one) for one in rounds},
        }
        if name in rounds:
            figure["ratio"] = rounds.ratio(name, "tinynn")
        figures.append(figure)
    return figures


def report(figures: Sequence[dict[str, Any]], peer: str) -> None:
    """Prints the table, tokens a second."""
    rows = []
    for its in figures:
        speeds, ratio = its["tokens a second"], its.get("ratio")
        rows.append(
            [
                its["task"],
                *(its[name] for name in ("weights", "cache", "threads")),
                *(f"{speeds[name]:.0f}" if name in speeds else "" for name in ("tinynn", peer)),
                "" if ratio is None else f"{ratio:.2f}",
            ]
        )
    head = ["tokens a second", "weights", "cache", "threads", "tinynn", peer, f"tinynn / {peer}"]
    print(table(head, rows))


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = arguments(__doc__)
    parser.add_argument("--threads", nargs="+", type=int, help="1 and 2; on a GPU 1")
    parser.add_argument("--model", metavar="FILE", help="a GGUF file; by default SmolLM2")
    parser.add_argument("--quantize", nargs="+", metavar="FORMAT", help='"none" for float32')
    parser.add_argument("--cache-dtype", nargs="+", metavar="DTYPE")
    parser.add_argument("--device", choices=list(SETTINGS), default="cpu", help="cpu")
    options = parser.parse_args(argv)
    setting = SETTINGS[options.device]
    path = options.model or str(pull())
    all_threads = options.threads or ([1, 2] if options.device == "cpu" else [1])
    pace = Pace(3, 0.001) if options.quick else setting.pace
    name, package, _ = setting.peer
    peers = not options.quick and has_peer(package)
    print(header(f"A language model on {options.device}"), flush=True)
    figures = [
        figure
        for threads in all_threads
        for format in options.quantize or setting.formats
        for cache_dtype in options.cache_dtype or setting.cache_dtypes
        for figure in measure(path, format, cache_dtype, options.device, threads, pace, peers)
    ]
    report(figures, name)
    write_json(options.json, "generation", {"device": options.device, "figures": figures})


if __name__ == "__main__":
    main()

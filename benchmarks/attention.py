"""Attention against memory and PyTorch: python -m benchmarks.attention [--device cuda]

Decoding: one new token a sequence meets a cache in blocks of 64, filled sequence by sequence. Its
speed is the bytes of keys and values over the time; "of read" is that as a share of the speed at
which the same bytes are read by all threads (copied, on a GPU) in the same round. PyTorch's peer is
`scaled_dot_product_attention` on keys and values that lie one after the other. Prefill: causal
attention of tokens to themselves, forward, and with gradients. Growth: the time of a new token by
the length of what came before: all attention computed again, with a cache, and with a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import arguments, duration, has_peer, header, plural, table, write_json
from benchmarks.workers import Candidate, Pace, time_in_turn
from tinynn.backend.devices import Device, backend_for

MODULE, PEER_MODULE, PEER, READ = (
    "benchmarks.attention_calls",
    "benchmarks.attention_in_torch",
    "PyTorch",
    "read",
)
Figure = dict[str, Any]


class Decode(NamedTuple):
    """A setting of decoding."""

    batch: int
    length: int
    heads: int
    kv_heads: int
    head_dim: int = 128

    @property
    def elements(self) -> int:
        return 2 * self.batch * self.length * self.kv_heads * self.head_dim

    def __str__(self) -> str:
        return f"{self.batch} x {self.length}, {self.heads}:{self.kv_heads}"


# On each device: the settings, the dtypes of caches (that of the peer first), and prefill's shape.
DECODES = {
    "cpu": [Decode(8, 4096, 32, 8), Decode(1, 4096, 32, 8), Decode(8, 1024, 32, 32)],
    "cuda": [Decode(64, 8192, 64, 8), Decode(8, 32768, 64, 8), Decode(1, 1024, 64, 8)],
}
DTYPES = {"cpu": ["float32", "float16", "int8"], "cuda": ["bfloat16", "int8"]}
PREFILL = (1, 2048, 8, 64)
GROWTH_HEADS = (8, 8, 64)
LENGTHS = [256, 512, 1024, 2048, 4096, 8192]
WINDOW = 256


def measure_decode(setting: Decode, device: str, threads: int, pace: Pace, peers: bool) -> Figure:
    """Seconds of each dtype, of reading its bytes, and of the peer."""
    dtypes = DTYPES[device]
    size = setting.elements * np.dtype("float32" if device == "cpu" else "float16").itemsize
    candidates = {READ: Candidate(MODULE, f"read({size}, {device!r})")}
    for dtype in dtypes:
        candidates[dtype] = Candidate(MODULE, f"decode(*{tuple(setting)}, {dtype!r}, {device!r})")
    if peers:
        call = f"decode(*{tuple(setting)}, {dtypes[0]!r}, {device!r})"
        candidates[PEER] = Candidate(PEER_MODULE, call, "torch")
    rounds = time_in_turn(candidates, threads, pace)
    figure = {
        "setting": str(setting),
        "threads": threads,
        "bytes": size,
        "seconds": {name: rounds.median(name) for name in rounds},
        "of read": rounds.ratio(READ, dtypes[0]),
        "faster than the first": {name: rounds.ratio(dtypes[0], name) for name in dtypes[1:]},
    }
    if PEER in rounds:
        figure[f"{PEER} / tinynn"] = rounds.ratio(PEER, dtypes[0])
    return figure


def measure_prefill(device: str, threads: int, pace: Pace, peers: bool, shape: Any) -> list[Figure]:
    """Seconds of causal attention, forward and with gradients, and of the peer."""
    figures = []
    for train in (False, True):
        call = f"prefill(*{shape}, {device!r}, train={train})"
        candidates = {"tinynn": Candidate(MODULE, call)}
        if peers:
            candidates[PEER] = Candidate(PEER_MODULE, call, "torch")
        rounds = time_in_turn(candidates, threads, pace)
        figure = {
            "what": "with gradients" if train else "forward",
            "threads": threads,
            "seconds": {name: rounds.median(name) for name in rounds},
        }
        if PEER in rounds:
            figure[f"{PEER} / tinynn"] = rounds.ratio(PEER, "tinynn")
        figures.append(figure)
    return figures


def measure_growth(device: str, threads: int, pace: Pace, lengths: Sequence[int]) -> Figure:
    """Seconds of a new token by length, and the exponents of the lengths that fit them."""
    heads, kv_heads, head_dim = GROWTH_HEADS
    dtype = DTYPES[device][0]
    ways: dict[str, list[float]] = {"without a cache": [], "with a cache": [], "window": []}
    for length in lengths:
        again = f"prefill(1, {length}, {heads}, {head_dim}, {device!r})"
        calls = [
            again,
            *(
                f"decode(1, {keys}, {heads}, {kv_heads}, {head_dim}, {dtype!r}, {device!r})"
                for keys in (length, min(length, WINDOW))
            ),
        ]
        rounds = time_in_turn(
            {way: Candidate(MODULE, call) for way, call in zip(ways, calls, strict=True)},
            threads,
            pace,
        )
        for way in ways:
            ways[way].append(rounds.median(way))
    logs = np.log(lengths)
    slopes = {way: float(np.polyfit(logs, np.log(its), 1)[0]) for way, its in ways.items()}
    return {"threads": threads, "lengths": list(lengths), "seconds": ways, "slopes": slopes}


def report_decode(figures: Sequence[Figure], device: str) -> None:
    """Prints the table of decoding."""
    first, *others = DTYPES[device]
    peers = any(PEER in its["seconds"] for its in figures)
    columns = ["batch x keys, heads", "threads", first, "GB/s", "of read"]
    columns += [f"{name} faster" for name in others] + ([f"{PEER} / tinynn"] if peers else [])
    rows = []
    for its in figures:
        seconds = its["seconds"][first]
        cells = [its["setting"], its["threads"], duration(seconds)]
        cells += [f"{its['bytes'] / seconds / 1e9:.1f}", f"{its['of read']:.0%}"]
        cells += [f"{its['faster than the first'][name]:.2f}" for name in others]
        rows.append([*cells, *([f"{its[f'{PEER} / tinynn']:.2f}"] if peers else [])])
    print("\nDecoding: one new token a sequence")
    print(table(columns, rows), flush=True)


def report_prefill(figures: Sequence[Figure], shape: Sequence[int]) -> None:
    """Prints the table of attention without a cache."""
    rows = []
    for its in figures:
        ratio = its.get(f"{PEER} / tinynn")
        peer = [] if ratio is None else [duration(its["seconds"][PEER]), f"{ratio:.2f}"]
        rows.append([its["what"], its["threads"], duration(its["seconds"]["tinynn"]), *peer])
    _, length, heads, width = shape
    print(f"\nCausal attention, {length} tokens, {heads} heads of {width}")
    columns = ["", "threads", "tinynn", PEER, f"{PEER} / tinynn"]
    print(table(columns[: len(rows[0])], rows), flush=True)


def report_growth(figure: Figure) -> None:
    """Prints the table of growth, with the exponents below."""
    ways = figure["seconds"]
    rows = [
        [length, *(duration(its[i]) for its in ways.values())]
        for i, length in enumerate(figure["lengths"])
    ]
    rows.append(["time grows as", *(f"length^{slope:.2f}" for slope in figure["slopes"].values())])
    print(f"\nA new token, by length, {plural(figure['threads'], 'thread')}; window of {WINDOW}")
    print(table(["tokens", *ways], rows), flush=True)


def draw_growth(figure: Figure, path: str) -> None:
    """Writes the picture of growth, with both axes logarithmic."""
    from tinynn.studies.shared.figures import GRID, new_figure, style
    from tinynn.training.figure import save_figure

    picture = new_figure(7, 4.5)
    axes = picture.add_subplot()
    for index, (way, seconds) in enumerate(figure["seconds"].items()):
        label = f"{way}: length^{figure['slopes'][way]:.2f}"
        axes.loglog(figure["lengths"], np.array(seconds) * 1e3, label=label, **style(index))
    axes.set_xticks(figure["lengths"], [str(length) for length in figure["lengths"]])
    axes.minorticks_off()
    axes.set(xlabel="tokens before the new one", ylabel="attention for the new token (ms)")
    axes.grid(**GRID)
    axes.legend()
    save_figure(picture, path)
    print(f"drawn in {path}")


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the tables; draws the growth where a picture is asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--device", choices=DECODES, default="cpu")
    parser.add_argument("--threads", nargs="+", type=int, help="1 and 2; on a GPU, 1")
    parser.add_argument("--picture", metavar="PATH", help="draw the growth to a file")
    options = parser.parse_args(argv)
    try:
        backend_for(Device(options.device))
    except RuntimeError as error:  # there is no such device here
        parser.error(str(error))
    device, threads = options.device, options.threads or ([1, 2], [1])[options.device != "cpu"]
    pace, settings, shape, lengths = Pace(9, 0.2), DECODES[device], PREFILL, LENGTHS
    if options.quick:
        pace, settings = Pace(3, 0.001), [Decode(2, 64, 4, 2, 32)]
        shape, lengths = (1, 64, 2, 32), LENGTHS[:2]
    peers = not options.quick and has_peer("torch")
    print(header(f"Attention on {device}"), flush=True)
    decodes = [
        measure_decode(setting, device, number, pace, peers)
        for setting in settings
        for number in threads
    ]
    report_decode(decodes, device)
    prefills = [
        figure
        for number in threads
        for figure in measure_prefill(device, number, pace, peers, shape)
    ]
    report_prefill(prefills, shape)
    growth = measure_growth(device, threads[-1], pace._replace(seconds=pace.seconds / 4), lengths)
    report_growth(growth)
    if options.picture:
        draw_growth(growth, options.picture)
    figures = {"device": device, "decode": decodes, "prefill": prefills, "growth": growth}
    write_json(options.json, "attention", figures)


if __name__ == "__main__":
    main()

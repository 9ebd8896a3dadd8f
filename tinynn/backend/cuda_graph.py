"""A list of calls on a GPU as CUDA graphs: many launches for the price of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

Call = Callable[[], Any]


def graph_of(calls: Sequence[Call], capture: Any = None) -> Callable[[], None] | None:
    """What makes the calls, without arguments, in their order: neighbours that can be part of a
    graph are one, others are made one by one. None where there are no two such neighbours.

    A call cannot be part of a graph if it takes memory, or waits for the device to look at a
    number. The device has run nothing when this returns; the host may have made each call twice.

    capture: calls -> what launches their graph, or None; in tests another than `_captured`.
    """
    capture = capture or _captured
    launches: list[Call] = []
    has_graph = False
    for fits, run in groupby(calls, lambda call: capture([call]) is not None):
        together = list(run)
        graph = capture(together) if fits and len(together) > 1 else None
        has_graph = has_graph or graph is not None
        launches += together if graph is None else [graph]
    if not has_graph:
        return None

    def launch() -> None:
        for call in launches:
            call()

    return launch


def _captured(calls: Sequence[Call]) -> Call | None:
    """The calls as one graph, which is launched on the stream that is current then; None where one
    of them cannot be part of it."""
    import cupy

    stream = cupy.cuda.Stream(non_blocking=True)
    try:
        with stream, cupy.cuda.using_allocator(_refuse):
            stream.begin_capture()
            try:
                for call in calls:
                    call()
            finally:
                graph = stream.end_capture()
    except Exception:  # of CuPy, CUDA or a library: each has classes of its own
        return None
    launch: Call = graph.launch
    return launch


def _refuse(size: int) -> Any:
    # A graph would go on using memory that was given back when the call was over.
    raise MemoryError(f"a call that takes {size} bytes cannot be part of a CUDA graph")

"""A list of calls on a GPU as one CUDA graph, which is launched at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def graph_of(calls: Sequence[Callable[[], Any]]) -> Callable[[], None] | None:
    """What launches the calls, without arguments, as one graph on the current stream.

    None where one of them cannot be part of a graph: it takes memory, waits for the device, or is a
    product by cuBLAS, which CuPy refuses while a stream is captured. Nothing has been run then.
    """
    import cupy

    stream = cupy.cuda.Stream(non_blocking=True)
    try:
        with stream:
            stream.begin_capture()
            try:
                for call in calls:
                    call()
            finally:
                graph = stream.end_capture()
    except Exception:  # of CuPy, CUDA or cuBLAS: each has classes of its own
        return None
    launch: Callable[[], None] = graph.launch
    return launch

"""Events in the format of Chrome's tracing, which chrome://tracing and Perfetto read.

Each is a "complete" event, with its beginning and duration in microseconds; one lies within
another where its time does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any

from tinynn.profiling.events import Event


def chrome_trace(events: Iterable[Event], start: int, end: int) -> dict[str, Any]:
    """The events of one thread as a document for JSON.

    Arguments:
        start, end: of the profiled block, nanoseconds.
    """
    place = {"pid": os.getpid(), "tid": threading.get_native_id()}
    whole = Event("profile", "", start, end, 0, 0, False)
    # What lies within another comes behind it, also where the two begin and end together.
    in_order = sorted((whole, *events), key=lambda event: (event.start, -event.end, event.call))
    return {
        "displayTimeUnit": "ns",
        "traceEvents": [
            {"name": "process_name", "ph": "M", **place, "args": {"name": "tinynn"}},
            *(
                {
                    "name": event.call or event.operation,
                    "cat": event.operation,
                    "ph": "X",
                    "ts": (event.start - start) / 1000,
                    "dur": (event.end - event.start) / 1000,
                    **place,
                    "args": {"bytes": event.nbytes},
                }
                for event in in_order
            ),
        ],
    }

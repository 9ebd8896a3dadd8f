"""When a tensor's memory was last changed in place.

One clock counts the nodes of the graph and the changes in place. A node that saved a tensor is out
of date exactly when the tensor's version is above the node's own order: nothing has to be
written down at the time of saving.
"""

from __future__ import annotations

from itertools import count

tick = count(1).__next__


class Version:
    """The time of the last change in place, shared by a tensor and the views of it."""

    __slots__ = ("time",)

    def __init__(self) -> None:
        self.time = 0


# The time of the last change in place of any tensor: the quick answer for a backward pass.
last_change = Version()

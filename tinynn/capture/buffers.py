"""Buffers: the stretches of memory that a recorded step reads and writes, and views of them.

Every array of the recorded run is a view of some allocation. A buffer is such an allocation; a View
says where in it an array lies. A plan keeps the views and puts the buffers elsewhere.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right
from typing import Any, NamedTuple

from tinynn.backend.devices import Backend

# What a buffer is to a plan.
INTERNAL = "internal"  # the plan's own memory, laid out in its arena
EXTERNAL = "external"  # parameters and the like: memory of others, read and written in place
CONSTANT = "constant"  # made once, while recording, and never written again
INPUT = "input"  # an argument of the function
LIVE = "live"  # a number or an array that a replay fills on the host before its calls


class Buffer:
    """One allocation.

    Attributes:
        number: in order of appearance.
        kind: one of the five above.
        array: the whole allocation, or the largest part of it that is known, in the recorded run;
            None for an internal buffer, of which only `end` tells whether it is in use.
        address, nbytes: where it lies.
        position: of an INPUT, which argument it is.
    """

    __slots__ = ("address", "array", "end", "kind", "nbytes", "number", "position")

    def __init__(self, number: int, kind: str, array: Any, address: int, nbytes: int) -> None:
        self.number = number
        self.kind = kind
        self.array = array
        self.address = address
        self.nbytes = nbytes
        self.position = -1
        self.end: Any = None

    def __repr__(self) -> str:
        return f"{self.kind[0]}{self.number}"


class View(NamedTuple):
    """An array as a part of a buffer; offset and strides are in bytes."""

    buffer: Buffer
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Any

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the buffer, in one stretch."""
        return self.offset == 0 and self.nbytes == self.buffer.nbytes and self.is_contiguous

    @property
    def nbytes(self) -> int:
        """The bytes of its elements."""
        count = 1
        for size in self.shape:
            count *= size
        return count * int(self.dtype.itemsize)

    @property
    def is_contiguous(self) -> bool:
        """Whether its elements lie in order, in one stretch."""
        step = self.dtype.itemsize
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != step:
                return False
            step *= size
        return True


class Memory:
    """The buffers met so far, found by address.

    Memory of the run's own is given back when the run gives it back; from then on the address may
    belong to another buffer. All other memory is kept, so that its addresses are not reused.

    Arguments:
        backend: whose arrays they are.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.buffers: list[Buffer] = []
        self._addresses: list[int] = []  # sorted, with the buffers beside
        self._sorted: list[Buffer] = []

    def view(self, array: Any, kind: str) -> View:
        """Where an array lies; its allocation becomes a buffer of this kind if it is not known."""
        address = self.backend.address_of(array)
        buffer = self.find(address) if array.size else self.add(array, kind)
        if buffer is None:
            buffer = self.add(_allocation(array), kind)
        offset = address - buffer.address
        return View(buffer, offset, array.shape, array.strides, array.dtype)

    def find(self, address: int) -> Buffer | None:
        """The buffer that an address is in."""
        place = bisect_right(self._addresses, address) - 1
        if place >= 0 and address < self._addresses[place] + self._sorted[place].nbytes:
            return self._sorted[place]
        return None

    def add(self, array: Any, kind: str) -> Buffer:
        """A new buffer."""
        address = self.backend.address_of(array)
        buffer = Buffer(len(self.buffers), kind, array, address, int(array.nbytes))
        self.buffers.append(buffer)
        if buffer.nbytes:
            place = bisect_right(self._addresses, address)
            self._addresses.insert(place, address)
            self._sorted.insert(place, buffer)
            if kind == INTERNAL:
                self._let_go(buffer)
        return buffer

    def _let_go(self, buffer: Buffer) -> None:
        """Keeps an array no longer than the run does, where the end of an array can be noticed."""

        def retire(reference: Any) -> None:
            place = self._sorted.index(buffer)
            del self._sorted[place], self._addresses[place]
            buffer.end = None

        try:
            buffer.end = weakref.ref(buffer.array, retire)
        except TypeError:  # such arrays take no weak references, and are kept
            return
        buffer.array = None


def _allocation(array: Any) -> Any:
    """The array that owns the memory of a view."""
    while isinstance(getattr(array, "base", None), type(array)):
        array = array.base
    return array

"""What can be left out of a list of calls: copies, products with one, results nobody reads."""

from __future__ import annotations

from collections.abc import Iterable

from tinynn.capture.buffers import INTERNAL, Buffer, View
from tinynn.capture.call import COPY, IN_PLACE, TWIN, Call
from tinynn.capture.layout import ALIGNMENT


def simplified(calls: list[Call], ones: set[Buffer], kept: set[Buffer]) -> list[Call]:
    """The calls without those that a plan can do without.

    Arguments:
        ones: buffers that were filled with ones.
        kept: buffers whose contents are wanted at the end.
    """
    written = [buffer for call in calls for buffer in call.written()]
    ones = {buffer for buffer in ones if written.count(buffer) == 1}
    calls = without_products_with_one(calls, ones, kept)
    calls = without_dead_calls(calls, kept)
    calls = without_copies_of_constants(calls, kept)
    return without_copies_to_their_place(calls, kept)


def without_products_with_one(
    calls: list[Call], ones: set[Buffer], kept: set[Buffer]
) -> list[Call]:
    """`x * 1` is x, wherever neither of the two is written afterwards.

    Such is the product with which a loss of its own passes its gradient on.
    """
    result: list[Call] = []
    for number, call in enumerate(calls):
        other = _times_one(call, ones)
        if other is not None:
            product = call.results[0]
            later = calls[number + 1 :]
            written = set[Buffer]().union(*(one.written() for one in later)) if later else set()
            if not written & {product.buffer, other.buffer} and product.buffer not in kept:
                for one in later:
                    one.replace(product.buffer, other)
                continue
        result.append(call)
    return result


def _times_one(call: Call, ones: set[Buffer]) -> View | None:
    """The factor beside the one, if a call multiplies by it and changes nothing else."""
    if call.name != "multiply" or call.keywords or len(call.arguments) != 2:
        return None
    for one, other in (call.arguments, call.arguments[::-1]):
        if (
            isinstance(one, View)
            and isinstance(other, View)
            and one.buffer in ones
            and one.shape == ()
            and other.buffer.kind == INTERNAL
            and other.is_whole
            and call.results[0].is_whole
            and (other.shape, other.dtype) == (call.results[0].shape, call.results[0].dtype)
        ):
            return other
    return None


def without_dead_calls(calls: list[Call], kept: Iterable[Buffer]) -> list[Call]:
    """Without calls that write only what nobody reads afterwards."""
    wanted = set(kept)
    result: list[Call] = []
    for call in reversed(calls):
        written = call.written()
        has_effect = call.form == IN_PLACE and not written
        if has_effect or any(b.kind != INTERNAL or b in wanted for b in written):
            if call.form not in (IN_PLACE, TWIN):
                wanted -= {v.buffer for v in call.results if v.is_whole} - call.read()
            wanted |= call.read()
            result.append(call)
    return result[::-1]


def without_copies_of_constants(calls: list[Call], kept: set[Buffer]) -> list[Call]:
    """A constant that is never written to need not be copied first."""
    writers: dict[Buffer, int] = {}
    for call in calls:
        for buffer in call.written():
            writers[buffer] = writers.get(buffer, 0) + 1
    result = []
    for call in calls:
        target = call.results[0] if call.results else None
        source = call.arguments[0] if call.name == "constant" else None
        if target is None or source is None or writers[target.buffer] > 1 or target.buffer in kept:
            result.append(call)
            continue
        for other in calls:
            if other is not call:
                other.replace(target.buffer, source)
    return result


def without_copies_to_their_place(calls: list[Call], kept: set[Buffer]) -> list[Call]:
    """A result that is only made to be copied somewhere is made there.

    So gradients come to lie in an optimizer's flat memory.
    """
    result = list(calls)
    for call in calls:
        if call.form != COPY or not call.arguments or not isinstance(call.arguments[0], View):
            continue
        source, target = call.arguments[0], call.results[0]
        fits = (
            source.buffer.kind == INTERNAL
            and source.buffer not in kept
            and source.is_whole
            and target.is_contiguous
            and source.nbytes == target.nbytes
            and source.dtype == target.dtype
            and target.shape == source.shape
            and (_is_aligned(target) or not _is_for_aligned(result, source.buffer))
        )
        if fits and _free_meanwhile(result, call, source, target):
            result.remove(call)
            for other in result:
                other.replace(source.buffer, target)
    return result


def _is_aligned(view: View) -> bool:
    """Whether it lies at a multiple of what a buffer of the arena does."""
    start = 0 if view.buffer.kind == INTERNAL else view.buffer.address
    return (start + view.offset) % ALIGNMENT == 0


def _is_for_aligned(calls: list[Call], buffer: Buffer) -> bool:
    """Whether a kernel may count on where the buffer lies: a GPU's read groups of numbers."""
    return any(
        getattr(call.function[0], "is_for_aligned", False)
        for call in calls
        if call.form == TWIN and buffer in call.touched()
    )


def _free_meanwhile(calls: list[Call], copy: Call, source: View, target: View) -> bool:
    """Whether nobody touches the target from the source's first call to its last, but the copy."""
    uses = [n for n, call in enumerate(calls) if source.buffer in call.touched()]
    place = calls.index(copy)
    if uses[-1] != place and any(
        source.buffer in calls[n].written() or _touches(calls[m], target)
        for n in uses
        if n > place
        for m in range(place + 1, n + 1)
    ):
        return False
    return not any(_touches(call, target) for call in calls[uses[0] : place])


def _touches(call: Call, target: View) -> bool:
    """Whether a call touches the memory of a view, which lies in one stretch."""
    for view in (*call.inputs(), *call.results):
        if view.buffer is target.buffer:
            first, last = _extent(view)
            if first < target.offset + target.nbytes and target.offset < last:
                return True
    return False


def _extent(view: View) -> tuple[int, int]:
    """The first byte of a view in its buffer, and the one behind its last."""
    first = last = view.offset
    for size, stride in zip(view.shape, view.strides, strict=True):
        reach = (size - 1) * stride
        first, last = first + min(reach, 0), last + max(reach, 0)
    return first, last + view.dtype.itemsize

"""Samples that whole families have in common: shapes of one argument, and pairs that broadcast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.opinfo.info import Sample, sample
from tests.opinfo.maker import Maker

# A number, single elements, empty and size-1 dimensions.
SHAPES = ((), (1,), (5,), (0,), (3, 4), (2, 0, 3), (2, 1, 3))

BROADCASTING = (
    ((), ()),
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((2, 3, 4), (3, 1)),
    ((1, 1), (2,)),
    ((0, 3), (1, 3)),
    ((2, 1), (0,)),
)


def unary(
    *more: Any, shapes: tuple[tuple[int, ...], ...] = SHAPES, keywords: Any = None, **options: Any
) -> Callable[[Maker], Iterator[Sample]]:
    """Samples of f(input, *more, **keywords) over SHAPES; options are those of Maker."""

    def samples(make: Maker) -> Iterator[Sample]:
        for shape in shapes:
            yield sample(make(*shape, **options), *more, **(keywords or {}))

    return samples


def binary(
    left: dict[str, Any] | None = None,
    right: dict[str, Any] | None = None,
    scalars: tuple[float, ...] = (3, 0.5),
) -> Callable[[Maker], Iterator[Sample]]:
    """Samples of f(input, other) over BROADCASTING, and with a Python number for `other`.

    Arguments:
        left, right: options of Maker for the two arguments.
        scalars: the numbers.
    """
    left, right = left or {}, right or {}

    def samples(make: Maker) -> Iterator[Sample]:
        for shape, other_shape in BROADCASTING:
            yield sample(make(*shape, **left), make(*other_shape, **right))
        for number in scalars:
            yield sample(make(2, 3, **left), number)

    return samples

"""Samples of pooling."""

from __future__ import annotations

from itertools import product

import numpy as np

from tests.opinfo.info import OpInfo, refuse, sample

# Input, kernel_size and options.
CALLS = (
    ((2, 3, 4, 6), 2, {}),
    ((2, 1, 5, 5), 2, {}),
    ((3, 5, 4), (3, 2), {}),
    ((1, 2, 6, 7), 3, {"stride": 2, "padding": 1}),
    ((1, 2, 6, 7), (3, 2), {"stride": (1, 2), "padding": (1, 0)}),
    ((1, 2, 7, 8), 3, {"stride": 1, "dilation": (2, 3), "padding": 1}),
    ((2, 2, 5, 6), 2, {"ceil_mode": True}),
    ((1, 1, 5, 5), 3, {"stride": 3, "padding": 1, "ceil_mode": True}),
    ((1, 1, 2, 6), 2, {"stride": (2, 5), "padding": 1, "ceil_mode": True}),
    ((2, 2, 3, 3), 1, {"stride": 2}),
    ((0, 2, 4, 4), 2, {}),
)


def samples(make):
    for input, kernel_size, options in CALLS:
        yield sample(make(*input, distinct=True), kernel_size, **options)
    yield sample(make(1, 1, 6, 6, distinct=True), 2, 3, 1, 2, True)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Every number of the result by itself, as the maximum of the elements that exist."""
    stride = kernel_size if stride is None else stride
    options = (kernel_size, stride, padding, dilation)
    window, stride, padding, dilation = (np.broadcast_to(option, 2) for option in options)
    places = []
    for d in (0, 1):
        size = input.shape[d - 2]
        reach = dilation[d] * (window[d] - 1)
        starts = range(-padding[d], size + padding[d] - (0 if ceil_mode else reach), stride[d])
        # Rounded up, there is one window more where the whole ones leave something over.
        whole = (size + 2 * padding[d] - reach - 1) // stride[d] + 1
        over = (size + 2 * padding[d] - reach - 1) % stride[d] > 0
        count = whole + (ceil_mode and over)
        starts = [start for start in starts[:count] if start < size or not ceil_mode]
        places.append(
            [
                [at for at in start + dilation[d] * np.arange(window[d]) if 0 <= at < size]
                for start in starts
            ]
        )
    result = np.zeros((*input.shape[:-2], *map(len, places)))
    for (y, rows), (x, columns) in product(*map(enumerate, places)):
        result[..., y, x] = input[..., rows, :][..., columns].max((-2, -1))
    return result


def refused(make):
    x = make(2, 3, 5, 5)
    yield refuse(RuntimeError, make(5, 5), 2, says=r"\(N, C, H, W\).*\(5, 5\)")
    yield refuse(RuntimeError, x, 6, says=r"no window.*\(6, 6\).*\(5, 5\)")
    yield refuse(RuntimeError, x, 3, padding=2, says=r"half.*\(2, 2\).*\(3, 3\)")
    yield refuse(RuntimeError, make(1, 4, 4, dtype="int64"), 2, says="floats, got int64")
    yield refuse(ValueError, x, 0, says="kernel_size.*at least 1.*0")
    yield refuse(ValueError, x, 2, 0, says="stride.*at least 1.*0")
    yield refuse(ValueError, x, 2, padding=-1, says="padding.*at least 0.*-1")
    yield refuse(TypeError, x, 2.0, says="kernel_size.*2.0")
    yield refuse(TypeError, x, (2, 2, 2), says="kernel_size.*pair")
    yield refuse(TypeError, [1.0], 2, says="input.*list")


INFOS = [
    OpInfo(
        "max_pool2d",
        samples=samples,
        reference=max_pool2d,
        refused=refused,
        torch="nn.functional.max_pool2d",
    ),
]

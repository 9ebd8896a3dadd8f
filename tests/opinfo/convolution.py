"""Samples of the 2-d convolution."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import OpInfo, refuse, sample

# Input, weight, whether there is a bias, and options.
CALLS = (
    ((2, 3, 5, 4), (4, 3, 3, 2), True, {}),
    ((2, 1, 5, 5), (2, 1, 3, 3), False, {"padding": 1}),
    ((3, 5, 4), (2, 3, 2, 3), True, {}),
    ((2, 2, 6, 7), (3, 2, 3, 2), True, {"stride": 2, "padding": (2, 1)}),
    ((1, 2, 7, 9), (2, 2, 2, 3), True, {"stride": (2, 3), "dilation": (3, 2), "padding": (0, 4)}),
    ((1, 2, 5, 5), (3, 2, 3, 3), False, {"stride": 3, "dilation": 2, "padding": 3}),
    ((2, 4, 4, 4), (6, 2, 2, 2), True, {"groups": 2}),
    ((1, 3, 4, 4), (3, 1, 3, 3), False, {"groups": 3, "padding": 1, "stride": 2}),
    ((2, 2, 4, 5), (2, 2, 2, 4), True, {"padding": "same"}),
    ((1, 1, 5, 4), (1, 1, 2, 3), False, {"padding": "same", "dilation": (3, 1)}),
    ((1, 2, 3, 4), (2, 2, 2, 2), False, {"padding": "valid"}),
    ((2, 3, 2, 2), (5, 3, 1, 1), True, {}),
    ((2, 1, 3, 3), (1, 1, 3, 3), True, {}),
    ((2, 1, 2, 2), (1, 1, 1, 1), False, {"padding": 2, "stride": 3}),
    ((0, 3, 4, 4), (2, 3, 2, 2), True, {}),
)


def samples(make):
    for input, weight, bias, options in CALLS:
        yield sample(make(*input), make(*weight), make(weight[0]) if bias else None, **options)
    yield sample(make(1, 2, 4, 4), make(4, 1, 2, 2), make(4), 2, (1, 0), 1, 2)


def reference(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Every number of the result by itself, as a sum of products."""
    (sy, sx), (dy, dx) = (np.broadcast_to(option, 2) for option in (stride, dilation))
    outputs, depth, rows, columns = weight.shape
    if padding == "same":
        before = [step * (size - 1) // 2 for step, size in ((dy, rows), (dx, columns))]
        after = [dy * (rows - 1) - before[0], dx * (columns - 1) - before[1]]
    else:
        before = after = np.broadcast_to(0 if padding == "valid" else padding, 2)
    borders = [(0, 0)] * (input.ndim - 2) + list(zip(before, after, strict=True))
    image = np.pad(input, borders)
    height = (image.shape[-2] - dy * (rows - 1) - 1) // sy + 1
    width = (image.shape[-1] - dx * (columns - 1) - 1) // sx + 1
    result = np.zeros((*input.shape[:-3], outputs, height, width))
    for o in range(outputs):
        first = o // (outputs // groups) * depth
        for y in range(height):
            for x in range(width):
                window = image[
                    ...,
                    first : first + depth,
                    y * sy : y * sy + dy * (rows - 1) + 1 : dy,
                    x * sx : x * sx + dx * (columns - 1) + 1 : dx,
                ]
                result[..., o, y, x] = (window * weight[o]).sum((-3, -2, -1))
    return result if bias is None else result + bias[:, None, None]


def refused(make):
    x, w = make(2, 3, 5, 5), make(4, 3, 2, 2)
    yield refuse(RuntimeError, make(5, 5), w, says=r"\(N, C, H, W\).*\(5, 5\)")
    yield refuse(RuntimeError, x, make(4, 3), says=r"weight.*\(4, 3\)")
    yield refuse(RuntimeError, x, make(4, 3, 0, 2), says=r"weight.*\(4, 3, 0, 2\)")
    yield refuse(RuntimeError, x, make(4, 2, 2, 2), says=r"\(2, 3, 5, 5\).*2 channels")
    yield refuse(RuntimeError, x, w, groups=3, says="groups.*4 filters.*3")
    yield refuse(RuntimeError, x, w, groups=0, says="groups.*0")
    yield refuse(RuntimeError, x, w, groups=2, says="groups=2.*6 channels")
    yield refuse(RuntimeError, x, w, make(3), says=r"bias.*\(4,\).*\(3,\)")
    yield refuse(RuntimeError, x, make(4, 3, 6, 2), says=r"\(6, 2\).*larger.*\(5, 5\)")
    yield refuse(RuntimeError, x, w, dilation=5, says=r"dilation \(5, 5\)")
    yield refuse(RuntimeError, x, w, padding="same", stride=2, says="same.*stride 1")
    yield refuse(ValueError, x, w, padding="full", says="'full'")
    yield refuse(ValueError, x, w, padding=-1, says="padding.*at least 0.*-1")
    yield refuse(ValueError, x, w, stride=0, says="stride.*at least 1.*0")
    yield refuse(TypeError, x, w, stride=1.5, says="stride.*1.5")
    yield refuse(TypeError, x, w, stride=(1, 2, 3), says="stride.*pair")
    yield refuse(RuntimeError, x, make(4, 3, 2, 2, dtype="float64"), says="float32.*float64")
    whole = make(2, 3, 5, 5, dtype="int64")
    yield refuse(RuntimeError, whole, make(4, 3, 2, 2, dtype="int64"), says="floats, got int64")
    yield refuse(TypeError, x, 2.0, says="weight.*float")
    yield refuse(TypeError, x, w, 2.0, says="bias.*float")
    yield refuse(TypeError, [1.0], w, says="input.*list")


INFOS = [
    OpInfo(
        "conv2d",
        samples=samples,
        reference=reference,
        refused=refused,
        torch="nn.functional.conv2d",
    ),
]

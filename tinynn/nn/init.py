"""Initialisers: what a parameter's values are before training.

Each writes into a tensor and returns it. Numbers are drawn in float64 on the host and then cast and
moved, so that a seed gives the same weights on every device and, to rounding, in every dtype.
A weight of shape (out, in, *receptive field) has fan in = in * field and fan out = out * field.

>>> import tinynn as tn
>>> weight = tn.nn.init.kaiming_normal_(tn.nn.Parameter(tn.zeros(256, 784)), nonlinearity="relu")
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.backend import random
from tinynn.nn.state import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tinynn.autograd import Tensor

    Generator = np.random.Generator

# How much a nonlinearity shrinks the standard deviation of what passes through it, undone.
GAINS: dict[str, Callable[[Any], float]] = {
    "linear": lambda param: 1.0,
    "conv1d": lambda param: 1.0,
    "conv2d": lambda param: 1.0,
    "conv3d": lambda param: 1.0,
    "sigmoid": lambda param: 1.0,
    "tanh": lambda param: 5 / 3,
    "relu": lambda param: math.sqrt(2.0),
    "leaky_relu": lambda param: math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2)),
    "selu": lambda param: 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights before a nonlinearity are scaled up.

    Arguments:
        nonlinearity: "linear", "relu", "leaky_relu", "tanh", "sigmoid", "selu", "conv1d" ...
        param: the negative slope of leaky_relu (0.01).

    >>> calculate_gain("relu") ** 2
    2.0000000000000004
    """
    if nonlinearity not in GAINS:
        raise ValueError(
            f"calculate_gain: nonlinearity {nonlinearity!r} is unknown; expected one of "
            f"{', '.join(GAINS)}"
        )
    return GAINS[nonlinearity](param)


_skipped: list[bool] = []  # not empty within `skip`


@contextmanager
def skip() -> Iterator[None]:
    """Within it initialisers do nothing: for a model whose weights are loaded at once.

    Memory that nothing was written to takes no room yet, and no number is drawn.

    >>> import tinynn as tn
    >>> with skip():
    ...     layer = tn.nn.Linear(50_000, 50_000, bias=False)  # 10 GB, if it were filled
    """
    _skipped.append(True)
    try:
        yield
    finally:
        _skipped.pop()


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element is `val`."""
    return _fill(tensor, lambda: np.full(tensor.shape, val))


def zeros_(tensor: Tensor) -> Tensor:
    """Every element is 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Every element is 1."""
    return constant_(tensor, 1.0)


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Elements drawn evenly from [a, b). ValueError where b is below a."""
    if b < a:
        raise ValueError(f"uniform_: expected a <= b, got a={a}, b={b}")
    return _fill(tensor, lambda: _generator(generator).uniform(a, b, tensor.shape))


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Elements drawn from N(mean, std^2). ValueError for a negative `std`."""
    _check_std("normal_", std)
    return _fill(tensor, lambda: _generator(generator).normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Elements drawn from N(mean, std^2), those outside [a, b] drawn again.

    Raises ValueError where less than a thousandth of the distribution lies within [a, b].
    """
    _check_std("trunc_normal_", std)
    scale = max(std, np.finfo(float).tiny) * math.sqrt(2.0)
    within = (math.erf((b - mean) / scale) - math.erf((a - mean) / scale)) / 2
    if within < 1e-3:
        raise ValueError(
            f"trunc_normal_: N({mean}, {std}^2) hardly has anything between a={a} and b={b}; "
            "bring the interval closer to the mean"
        )

    def draw() -> np.ndarray[Any, Any]:
        source = _generator(generator)
        values = source.normal(mean, std, tensor.shape)
        while True:
            outside = (values < a) | (values > b)
            count = int(outside.sum())
            if not count:
                return values
            values[outside] = source.normal(mean, std, count)

    return _fill(tensor, draw)


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """U(-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)), Glorot and Bengio (2010), eq. 16."""
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(0, std^2) with std = gain * sqrt(2 / (fan_in + fan_out)); its variance is eq. 12 there."""
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """U(-bound, bound) with bound = gain * sqrt(3 / fan), He et al. (2015), eq. 10 and 14.

    Arguments:
        tensor: two or more dimensions.
        a: the negative slope, for leaky_relu.
        mode: "fan_in" keeps the variance going forward, "fan_out" going back.
        nonlinearity: what comes after the layer, as in `calculate_gain`.
        generator: a NumPy Generator; None takes the one that `tn.manual_seed` seeds.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """N(0, std^2) with std = gain / sqrt(fan); arguments as of `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan in, fan out). ValueError below two dimensions."""
    if tensor.ndim < 2:
        raise ValueError(
            f"init: fan in and fan out need a tensor of two or more dimensions, got {tensor.shape}"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"kaiming: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def _xavier_std(tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2.0 / max(sum(fans(tensor)), 1))


def _check_std(name: str, std: float) -> None:
    if not std >= 0:
        raise ValueError(f"{name}: std must be zero or positive, got {std}")


def _generator(generator: Generator | None) -> Generator:
    return random.host_generator() if generator is None else generator


def _fill(tensor: Tensor, draw: Callable[[], np.ndarray[Any, Any]]) -> Tensor:
    if not _skipped:
        write(tensor, draw())
    return tensor

"""Compiling ahead the kernels that training needs, so that the first step does not stop for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.backend.kernel_table import kernel_cache, table_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def warm_up(
    report: Callable[[str], Any] = print,
    *,
    activations: Iterable[str] = ("relu",),
    optimizer: str = "sgd",
    convolution: bool = False,
    dropout: bool = False,
    augment: bool = False,
) -> None:
    """Loads the CPU kernels that training a float32 classifier needs; compiles them the first time.

    Arguments:
        report: called with a line of text before each kernel that is compiled; not at all where
            compiled kernels are found in the user's cache.
        activations: those after linear layers; "identity" is none.
        optimizer: "sgd" or "adamw".
        convolution, dropout, augment: whether they are used; convolution with 2x2 pooling.
    """
    x, matrix = np.ones((2, 4), np.float32), np.ones((4, 4), np.float32)
    row, labels = np.ones(4, np.float32), np.zeros(2, np.int64)
    # A product of few rows with a large matrix is computed in another way.
    few, large = np.ones((8, 256), np.float32), np.ones((160, 256), np.float32)
    kernels = table_for("numpy")
    names = [None, *(name for name in activations if name != "identity")]
    calls: dict[str, list[tuple[Any, dict[str, Any]]]] = {
        "linear_activation": [
            (arrays, {"activation": name})
            for name in names
            for arrays in ((x, matrix, row), (few, large, large[:, 0].copy()))
        ],
        "activation_backward": [((x, x), {"activation": name}) for name in names],
        "softmax_cross_entropy": [((x, labels, None), {})],
    }
    if optimizer == "adamw":
        calls["adamw_step"] = [((row, row, row.copy(), row.copy()), {"lr": 0.0, "step": 1})]
    else:
        calls["sgd_step"] = [
            ((row, row, None), {"lr": 0.0}),
            ((row, row, row.copy()), {"lr": 0.0, "momentum": 0.9}),
        ]
    if convolution:
        image = np.ones((1, 1, 4, 4), np.float32)
        once = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
        calls["conv2d"] = [((image, image, np.ones(1, np.float32)), once)]
        calls["conv2d_input_gradient"] = [((image, image), once | {"size": (7, 7)})]
        calls["conv2d_weight_gradient"] = [((image, image), once | {"window": (1, 1)})]
        halved = {"window": (2, 2), "stride": (2, 2), "padding": (0, 0), "dilation": (1, 1)}
        calls["max_pool2d"] = [((image,), halved | {"size": (2, 2)})]
        places = np.zeros((1, 1, 1, 1), np.int32)
        calls["max_pool2d_backward"] = [((image[..., :1, :1].copy(), places), {"size": (1, 1)})]
    if dropout:
        calls["dropout"] = [((x,), {"p": 0.5, "key": 0, "stream": 0, "step": 0})]
    if augment:
        images, maps = np.zeros((1, 4, 4), np.uint8), np.zeros((1, 2, 3), np.float32)
        calls["affine_resample"] = [((images, maps), {})]
    _, cold = kernel_cache()
    for place, (name, arguments) in enumerate(calls.items(), 1):
        if cold:
            report(f"compiling CPU kernels, once: {name} ({place} of {len(calls)})")
        for arrays, attributes in arguments:
            getattr(kernels, name)(*arrays, **attributes)

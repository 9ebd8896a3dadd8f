"""A few columns kept exact: what the columns of large inputs have to do with what is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinynn.backend.reference.quantized import rounded
from tinynn.ops.creation import tensor
from tinynn.studies.quantization.layers import (
    KINDS,
    Exact,
    changed,
    coarse,
    divergence,
    exact_of,
    layers_of,
    measure_ends,
    scores_from,
)
from tinynn.studies.quantization.settings import Settings
from tinynn.studies.shared.workers import Place

__all__ = ["EVERY", "INPUT_WAYS", "WEIGHT_WAYS", "OutlierTask", "measure_outliers"]

Array = np.ndarray[Any, Any]

EVERY = "all of these"
# Of coarse weights: what stays exact. Of inputs rounded to 8 bits: what a scale is for.
WEIGHT_WAYS = ("none", "at random", "largest inputs")
INPUT_WAYS = ("token", "token, but for the largest", "group")
LARGEST = 127


class OutlierTask(NamedTuple):
    """A kind of layers, EVERY one, or None for the table of tokens."""

    settings: Settings
    seed: int
    kind: str | None


def measure_outliers(place: Place, task: OutlierTask) -> dict[str, Any]:
    """The divergence by what is rounded and what stays exact; see the names above."""
    settings = task.settings
    if task.kind is None:
        return {"ends": measure_ends(place, settings, task.seed)}
    exact = exact_of(place, settings, task.seed)
    kinds = list(KINDS) if task.kind == EVERY else [task.kind]
    weights = {way: _with_weights(exact, kinds, way, task) for way in WEIGHT_WAYS}
    inputs = {way: _with_inputs(exact, kinds, way, settings.kept) for way in INPUT_WAYS}
    return {"weights": weights, "inputs": inputs}


def _with_weights(exact: Exact, kinds: list[str], way: str, task: OutlierTask) -> float:
    """The divergence of layers with coarse weights, some columns of which stay exact."""
    random = np.random.default_rng(task.seed)
    weights = {}
    for kind in kinds:
        for depth in range(len(exact.model.layers)):
            columns = largest(exact.before[kind, depth], task.settings.kept)
            if way == "at random":
                size = exact.before[kind, depth].shape[1]
                columns = random.choice(size, len(columns), replace=False)
            for layer in layers_of(exact.model, kind, depth):
                weights[layer.weight] = _kept(layer.weight.data, columns, way)
    with changed(weights):
        return divergence(exact.logarithms, scores_from(exact.model, exact.states[0], 0))


def _kept(weight: Array, columns: Array, way: str) -> Array:
    if way == "none":
        return coarse(weight)
    # What is kept apart does not stretch the scales of what is not.
    rest = weight.copy()
    rest[:, columns] = 0
    rest = coarse(rest)
    rest[:, columns] = weight[:, columns]
    return rest


def largest(inputs: Array, share: float) -> Array:
    """The columns with the largest |number|, at least one.

    >>> largest(np.array([[1.0, -9.0, 2.0], [3.0, 0.0, 2.0]]), 0.5)
    array([1, 0])
    """
    count = max(1, round(share * inputs.shape[1]))
    return np.argsort(-np.abs(inputs).max(axis=0), kind="stable")[:count]


def _with_inputs(exact: Exact, kinds: list[str], way: str, share: float) -> float:
    """The divergence of layers with exact weights whose inputs are rounded to 8 bits."""
    handles = []
    for kind in kinds:
        for depth in range(len(exact.model.layers)):
            columns = largest(exact.before[kind, depth], share)
            hook = _rounding(way, columns)
            handles += [
                layer.register_forward_pre_hook(hook)
                for layer in layers_of(exact.model, kind, depth)
            ]
    try:
        return divergence(exact.logarithms, scores_from(exact.model, exact.states[0], 0))
    finally:
        for handle in handles:
            handle.remove()


def _rounding(way: str, columns: Array) -> Callable[[Any, Any], Any]:
    def round_input(module: Any, args: Any) -> Any:
        x = args[0].numpy()
        if way == "group":
            return (tensor(rounded(x)),)
        if way == "token":
            return (tensor(by_token(x)),)
        rest = x.copy()
        rest[..., columns] = 0
        rest = by_token(rest)
        rest[..., columns] = x[..., columns]
        return (tensor(rest),)

    return round_input


def by_token(x: Array) -> Array:
    """Each row rounded to whole numbers from -127 to 127, times a scale of its own.

    >>> by_token(np.array([[127.0, 0.4, -1.6]], np.float32)).tolist()
    [[127.0, 0.0, -2.0]]
    """
    scale = np.abs(x).max(axis=-1, keepdims=True) / np.float32(LARGEST)
    found: Array = np.rint(x / np.where(scale == 0, 1, scale)) * scale
    return found

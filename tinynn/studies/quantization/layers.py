"""One part of the model coarse and the rest exact: how far the next-token distributions move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinynn.autograd.grad_mode import no_grad
from tinynn.nn import Linear
from tinynn.ops.creation import tensor
from tinynn.quant import quantize
from tinynn.studies.quantization.settings import COARSE, EXACT, Settings
from tinynn.studies.quantization.subject import subject_of
from tinynn.studies.shared.workers import Place

__all__ = [
    "EMBEDDING",
    "HEAD",
    "KINDS",
    "Exact",
    "LayerTask",
    "changed",
    "coarse",
    "divergence",
    "exact_of",
    "layers_of",
    "log_softmax",
    "measure_ends",
    "measure_layer",
    "peak",
    "scores_from",
]

Array = np.ndarray[Any, Any]

# Layers that share an input -> where a layer of the model has them.
KINDS = {
    "query, key, value": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention output": ("self_attn.o_proj",),
    "gate, up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
EMBEDDING, HEAD = "embedding", "scores"
GROUP = 32


class LayerTask(NamedTuple):
    """A depth, all kinds of whose layers are to be made coarse, one after the other."""

    settings: Settings
    seed: int
    depth: int


class Exact(NamedTuple):
    """The exact model and what it computes from a piece of text.

    Attributes:
        model: with float32 weights.
        states: what comes to each layer, and what leaves the last, (1, tokens, width) each.
        logarithms: of the probabilities of each next token, [tokens, vocabulary].
        inputs: by kind and depth, [tokens, inputs] float32, what comes to the linear layers.
        before: likewise, from another piece of text.
    """

    model: Any
    states: list[Any]
    logarithms: Array
    inputs: dict[tuple[str, int], Array]
    before: dict[tuple[str, int], Array]


def layers_of(model: Any, kind: str, depth: int) -> list[Linear]:
    """The linear layers of a kind at a depth."""
    found = []
    for path in KINDS[kind]:
        part, _, name = path.partition(".")
        layer = getattr(getattr(model.layers[depth], part), name)
        found += [layer] if layer is not None else []
    return found


@lru_cache(maxsize=1)
def exact_of(place: Place, settings: Settings, seed: int) -> Exact:
    """The last passage but one is where outliers are looked for, the last is judged by."""
    subject = subject_of(place, settings, seed)
    model = subject.model(EXACT, "float32")
    before, _ = _watched(model, subject.windows[-2, : settings.probed])
    inputs, states = _watched(model, subject.windows[-1, : settings.probed])
    logarithms = log_softmax(scores_from(model, states[-1], len(model.layers)))
    return Exact(model, states, logarithms, inputs, before)


def _watched(model: Any, ids: Array) -> tuple[dict[tuple[str, int], Array], list[Any]]:
    """The inputs of linear layers, and the states between the model's layers."""
    inputs: dict[tuple[str, int], Array] = {}
    states: list[Any] = []
    handles = [
        layer.register_forward_pre_hook(lambda module, args: states.append(args[0]))
        for layer in (*model.layers, model.norm)
    ]

    def watcher(kind: str, depth: int) -> Callable[[Any, Any], None]:
        def watch(module: Any, args: Any) -> None:
            inputs[kind, depth] = args[0].numpy()[0]

        return watch

    for kind in KINDS:
        for depth in range(len(model.layers)):
            layer = layers_of(model, kind, depth)[0]
            handles.append(layer.register_forward_pre_hook(watcher(kind, depth)))
    try:
        with no_grad():
            model(tensor(ids[None]))
    finally:
        for handle in handles:
            handle.remove()
    return inputs, states


def scores_from(model: Any, state: Any, depth: int) -> Array:
    """The scores [tokens, vocabulary] that come of what comes to the layer of a depth."""
    with no_grad():
        for layer in model.layers[depth:]:
            state = layer(state)
        scores: Array = model.scores(model.norm(state)).numpy()[0]
    return scores


def log_softmax(scores: Array) -> Array:
    shifted = scores - scores.max(axis=-1, keepdims=True)
    found: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


def divergence(exact: Array, scores: Array) -> float:
    """The mean over tokens of the Kullback-Leibler divergence of the distributions that scores
    give, from the exact ones (nats).

    >>> exact = np.log(np.array([[0.5, 0.5]]))
    >>> round(divergence(exact, np.log(np.array([[0.8, 0.2]]))), 4)
    0.2231
    """
    apart = exact - log_softmax(scores)
    return float((np.exp(exact) * apart).sum(axis=-1, dtype=np.float64).mean())


@contextmanager
def changed(weights: Mapping[Any, Array]) -> Iterator[None]:
    """Other numbers in the place of parameters', for a while."""
    kept = {parameter: parameter.data for parameter in weights}
    try:
        for parameter, numbers in weights.items():
            parameter.data = numbers
        yield
    finally:
        for parameter, numbers in kept.items():
            parameter.data = numbers


def coarse(weight: Array) -> Array:
    """The numbers that a matrix [outputs, inputs] has in the coarse format."""
    found: Array = quantize(weight, COARSE).dequantize()
    return found


def peak(numbers: Array) -> float:
    """The largest |number| as a multiple of their root mean square; 0 of zeros.

    >>> peak(np.array([0.0, 0.0, 0.0, -4.0]))
    2.0
    """
    mean = float(np.sqrt(np.square(numbers, dtype=np.float64).mean()))
    return float(np.abs(numbers).max()) / mean if mean else 0.0


def measure_layer(place: Place, task: LayerTask) -> dict[str, dict[str, float]]:
    """By kind: how far the distributions move (divergence); how far the layers' own outputs do,
    as a share of their squares (error); the peaks of their inputs and weights (input_peak, and
    weight_peak as the mean over groups of 32 columns)."""
    exact = exact_of(place, task.settings, task.seed)
    found = {}
    for kind in KINDS:
        layers = layers_of(exact.model, kind, task.depth)
        weights = {layer.weight: coarse(layer.weight.data) for layer in layers}
        with changed(weights):
            scores = scores_from(exact.model, exact.states[task.depth], task.depth)
        x = exact.inputs[kind, task.depth]
        errors = [np.square(x @ (new - old.data).T).sum() for old, new in weights.items()]
        outputs = [np.square(x @ old.data.T).sum() for old in weights]
        found[kind] = {
            "divergence": divergence(exact.logarithms, scores),
            "error": float(sum(errors) / sum(outputs)),
            "input_peak": peak(x),
            "weight_peak": float(np.mean([_group_peaks(old.data).mean() for old in weights])),
        }
    return found


def _group_peaks(weight: Array) -> Array:
    groups = weight[:, : weight.shape[1] // GROUP * GROUP].reshape(-1, GROUP)
    mean = np.sqrt(np.square(groups).mean(axis=1))
    found: Array = np.abs(groups).max(axis=1)[mean > 0] / mean[mean > 0]
    return found


def measure_ends(place: Place, settings: Settings, seed: int) -> dict[str, float]:
    """The divergence where the table of tokens is coarse: as embedding, and as the last layer."""
    exact = exact_of(place, settings, seed)
    model, table = exact.model, exact.model.embed_tokens.weight
    ids = subject_of(place, settings, seed).windows[-1, : settings.probed]
    other = coarse(table.data)
    moved = (other - table.data)[ids][None]
    first = tensor(exact.states[0].numpy() + moved)
    embedding = scores_from(model, first, 0)
    last = model.lm_head.weight if model.lm_head is not None else table
    with changed({last: coarse(last.data)}):
        head = scores_from(model, exact.states[-1], len(model.layers))
    return {
        EMBEDDING: divergence(exact.logarithms, embedding),
        HEAD: divergence(exact.logarithms, head),
    }

"""Whether a network is one linear map, which one, and how far it is from any.

Linear layers one after the other are one linear layer: W2 (W1 x + b1) + b2 = W x + b with W = W2 W1
and b = W2 b1 + b2. Between them, an activation that is not linear prevents that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynn.autograd import Tensor, no_grad
from tinynn.backend.dtypes import float64
from tinynn.models import MLP
from tinynn.nn import Identity, Linear, ReLU
from tinynn.ops.conversion import host

__all__ = ["collapse", "compare_with_collapse", "departure", "pieces", "rounding_bound"]


def collapse(model: MLP) -> Linear:
    """The one layer that computes what a network without activations does, in its dtype.

    Raises ValueError for a network with activations.

    >>> import tinynn as tn
    >>> collapse(MLP([784, 256, 128, 10], "identity")).weight.shape
    (10, 784)
    """
    first, *others = _linear_layers(model)
    with no_grad():
        weight, bias = Tensor(first.weight.data), first.bias
        for layer in others:
            weight, bias = layer.weight @ weight, layer(bias)
    outputs, inputs = weight.shape
    one = Linear(inputs, outputs, device=weight.device, dtype=weight.dtype)
    one.load_state_dict({"weight": weight, "bias": bias})
    return one


def rounding_bound(model: MLP, inputs: NDArray[Any]) -> NDArray[np.float64]:
    """How far apart rounding can set the outputs of a network without activations and its collapse.

    Arguments:
        inputs: shape (samples, inputs).

    Returns the greatest difference possible, for each output of each sample: (samples, outputs).

    A product or a sum of floating-point numbers is (1 + d) times the exact one with |d| <= u, half
    the distance from 1 to the next number. An output is a sum of products along all paths through
    the network, w3 w2 w1 x and w3 w2 b1 and so on, and a layer of n inputs takes each through at
    most n + 1 roundings, in whatever order it sums. So the network is wrong by at most g S, where k
    is the sum of n + 1 over the layers, g = k u / (1 - k u), and S the same sum over the paths'
    absolute values: |W3| (|W2| (|W1| |x| + |b1|) + |b2|) + |b3|. The collapsed matrix and its
    outputs come from the same products in another order, with no more roundings on a path; the two
    differ by at most 2 g S. Higham, "Accuracy and Stability of Numerical Algorithms" (2002),
    sections 3.1 and 3.5.
    """
    layers = _linear_layers(model)
    unit = float(np.finfo(layers[0].weight.dtype).eps) / 2
    roundings = sum(layer.in_features + 1 for layer in layers) * unit
    reach = np.abs(inputs.astype(np.float64))
    for layer in layers:
        weight, bias = (np.abs(host(p).astype(np.float64)) for p in layer.parameters())
        reach = reach @ weight.T + bias
    return 2 * roundings / (1 - roundings) * reach


def compare_with_collapse(model: MLP, images: Tensor) -> dict[str, Any]:
    """How a deep linear network and its one matrix agree, in its own float32 and in float64."""
    double = MLP(model.sizes, "identity").to(float64).to(device=images.device)
    double.load_state_dict(model.state_dict())
    exact = images.to(float64)
    with no_grad():
        scores = host(double(exact))
    ordered = np.sort(scores, axis=1)
    margins = ordered[:, -1] - ordered[:, -2]
    return {
        "typical_output": float(np.sqrt((scores**2).mean())),
        "narrowest_margin": float(margins.min()),
        "float32": _agreement(model, images, margins),
        "float64": _agreement(double, exact, margins),
    }


def _agreement(model: MLP, images: Tensor, margins: Any) -> dict[str, Any]:
    """The outputs of a deep linear network against those of its one matrix.

    Arguments:
        margins: between the greatest output and the next, for each image.
    """
    one = collapse(model)
    with no_grad():
        deep, flat = host(model(images)), host(one(images))
    apart = np.abs(deep.astype(np.float64) - flat)
    bound = rounding_bound(model, host(images))
    has_changed = deep.argmax(axis=1) != flat.argmax(axis=1)
    return {
        "difference": float(apart.max()),
        "bound": float(bound.max()),
        "share_of_bound": float((apart / bound).max()),
        "changed": int(has_changed.sum()),
        "changed_margin": float(margins[has_changed].max(initial=0.0)),
    }


def departure(function: Callable[[Tensor], Tensor], first: Tensor, second: Tensor) -> float:
    """How much a function bends between pairs of points, relative to its values; an affine one 0.

    |f((x + y) / 2) - (f(x) + f(y)) / 2| / |(f(x) + f(y)) / 2|, the norms over all pairs together.

    Arguments:
        first, second: x and y of the pairs, (pairs, inputs) each.

    >>> import tinynn as tn
    >>> x, y = tn.tensor([[1.0], [2.0]]), tn.tensor([[-1.0], [4.0]])
    >>> departure(lambda x: 3 * x + 1, x, y), departure(lambda x: x * x, x, tn.zeros(2, 1))
    (0.0, 0.5)
    """
    with no_grad():
        chord = host((function(first) + function(second)) / 2).astype(np.float64)
        middle = host(function((first + second) / 2)).astype(np.float64)
    return float(np.linalg.norm(middle - chord) / np.linalg.norm(chord))


def pieces(model: MLP, inputs: Tensor) -> NDArray[np.intp]:
    """The number of the piece that each input lies in, of those on which a ReLU network is linear.

    Inputs that switch the same units on have the same number, from 0: (samples,).

    >>> import tinynn as tn
    >>> model = MLP([1, 1, 1])
    >>> _ = model.load_state_dict(
    ...     {"layers.0.weight": np.ones((1, 1)), "layers.0.bias": np.zeros(1)}, strict=False
    ... )
    >>> pieces(model, tn.tensor([[-2.0], [1.0], [-0.5], [3.0]])).tolist()
    [0, 1, 0, 1]
    """
    signs = []
    with no_grad():
        for module in model.layers:
            if isinstance(module, ReLU):
                signs.append(host(inputs) > 0)
            inputs = module(inputs)
    if not signs:
        return np.zeros(len(inputs), np.intp)
    patterns = np.packbits(np.concatenate(signs, axis=1), axis=1)
    return np.unique(patterns, axis=0, return_inverse=True)[1].reshape(-1)


def _linear_layers(model: MLP) -> list[Linear]:
    for module in model.layers:
        if not isinstance(module, Linear | Identity):
            raise ValueError(
                f"{type(module).__name__} is not linear, the network has no one matrix"
            )
    return [module for module in model.layers if isinstance(module, Linear)]

"""Whole models in few bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn import nn
from tinynn.backend.reference.quantized import ROWS
from tinynn.ops.joining import cat
from tinynn.quant.layers import QuantizedEmbedding, QuantizedLinear
from tinynn.quant.matrices import FORMATS as _WHOLE
from tinynn.quant.matrices import HalfMatrix
from tinynn.quant.memory import gather
from tinynn.quant.rounding import Matrix, from_gguf
from tinynn.quant.rounding import quantize as quantize_matrix
from tinynn.quant.stacking import stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tinynn.models.weights import Match

FORMATS = (*_WHOLE.values(), "fp16", "bf16")
STORED = "stored"  # the format of weights that stay as their file has them
_BLOCKS = ("Q8_0", "Q4_0", "Q4_1")
_HALVES = ("F16", "BF16")


def quantize(target: Any, format: str, activations: str = "int8") -> Any:
    """A matrix in fewer bits; or a model, whose linear layers and embedding of tokens become such
    in place.

    Arguments:
        target: an array [outputs, inputs] of floats, or a Module.
        format: "int8", "int8-32", "int4" or "int4-symmetric" (see `QuantizedMatrix`), "fp16" or
            "bf16"; how numbers are rounded is said in `tinynn/quant/rounding.py`.
        activations: of a model, what the inputs of its linear layers are rounded to: "int8", or
            "float32" for none, which is slower.

    Returns the matrix, or the model, which computes from then on and is not trained.

    Raises ValueError for another format, and for weights that it cannot hold.

    >>> import tinynn as tn
    >>> model = quantize(tn.nn.Sequential(tn.nn.Linear(4, 3), tn.nn.ReLU()), "int8")
    >>> model(tn.ones(2, 4)).shape
    (2, 3)
    """
    if not isinstance(target, nn.Module):
        return quantize_matrix(target, format)
    return _replace_all(
        target, lambda name, weight: quantize_matrix(weight.data, format), activations
    )


def place_matrices(
    model: Any, matches: dict[str, Match], format: str, activations: str = "int8"
) -> Any:
    """Gives a Transformer the weights of a file, those of linear layers and of the embedding in few
    bits.

    Arguments:
        model: whose own weights are not looked at.
        matches: as `models.match_weights` gives them.
        format: see `quantize`; or "stored" for blocks and 16-bit floats as the file has them, and
            float32 where it has others.
        activations: see `quantize`.
    """
    parameters, left = dict(model.named_parameters()), dict(matches)

    def matrix(name: str, weight: Any) -> Matrix | None:
        match = left.pop(name)
        if format != STORED:
            return quantize_matrix(match.array(), format)
        kind, stored = match.stored.type, match.stored
        if match.change is None and kind in _BLOCKS:
            return from_gguf(stored.raw, kind, weight.shape)
        if match.change is None and kind in _HALVES:
            return HalfMatrix(stored.array())
        weight.data = match.array()
        return None

    _replace_all(model, matrix, activations)
    for name, match in left.items():
        parameters[name].data = match.array()
    return model


def _replace_all(
    model: Any, matrix: Callable[[str, Any], Matrix | None], activations: str = "int8"
) -> Any:
    """Puts matrices in the place of weights, for those that `matrix(name, weight)` gives one."""
    for path, parent, name, layer in list(replaceable(model)):
        found = matrix(f"{path}.weight", layer.weight)
        if found is None:
            continue
        if isinstance(layer, nn.Linear):
            setattr(parent, name, QuantizedLinear(found, layer.bias, activations))
            continue
        setattr(parent, name, QuantizedEmbedding(found))
        if getattr(model, "lm_head", True) is None:  # the embedding scores tokens, too
            model.lm_head = QuantizedLinear(found, None, activations)
    for module in model.modules():
        _stack(module, activations)
    gather(layer.matrix for layer in model.modules() if isinstance(layer, QuantizedLinear))
    return model


# Layers with one input -> the one that takes their place.
STACKED = {
    nn.SelfAttention: (("q_proj", "k_proj", "v_proj"), "qkv_proj"),
    nn.FeedForward: (("gate_proj", "up_proj"), "gate_up_proj"),
}


def _stack(module: Any, activations: str) -> None:
    """Makes one layer of those that have the same input, if all are of one format."""
    names, target = STACKED.get(type(module), ((), ""))
    layers = [getattr(module, name) for name in names]
    if not layers or not all(isinstance(layer, QuantizedLinear) for layer in layers):
        return
    matrices = [layer.matrix for layer in layers]
    biases = [layer.bias for layer in layers if layer.bias is not None]
    fits = {matrix.format for matrix in matrices} == {matrices[0].format}
    if not fits or any(m.shape[0] % ROWS for m in matrices) or len(biases) not in (0, len(layers)):
        return
    bias = nn.Parameter(cat(biases).data, requires_grad=False) if biases else None
    setattr(module, target, QuantizedLinear(stack(matrices), bias, activations))
    for name in names:
        setattr(module, name, None)


def replaceable(model: Any) -> Iterator[tuple[str, Any, str, Any]]:
    """(path, parent, name, layer) of linear layers, and of the table of a Transformer's tokens."""
    for path, parent in model.named_modules():
        for name, layer in parent.named_children():
            full = f"{path}.{name}" if path else name
            if isinstance(layer, nn.Linear) or full == "embed_tokens":
                yield full, parent, name, layer

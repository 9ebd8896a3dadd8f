"""Quantized models in files: their matrices as they are, and the way back.

A matrix of whole numbers is its `blocks` and, for "int8", its `row_scales`; one of 16-bit floats is
its `weight`. Which layer has which format is said in config.json:

    "quantization_config": {
      "quant_method": "tinynn",
      "activations": "int8",
      "modules": {"embed_tokens": "int8-32", "layers.0.self_attn.qkv_proj": "int4", ...}
    }

Layers that were stacked are named as the one they became, and a matrix that is two layers' once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinynn import nn
from tinynn.autograd import Tensor
from tinynn.backend.reference.quantized import GROUP, ROWS
from tinynn.ops.conversion import host
from tinynn.quant.layers import QuantizedEmbedding, QuantizedLinear
from tinynn.quant.matrices import FORMATS, HalfMatrix, QuantizedMatrix
from tinynn.quant.models import STACKED, replaceable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tinynn.models.weights import Stored
    from tinynn.quant.rounding import Matrix

    Array = np.ndarray[Any, Any]

METHOD = "tinynn"
QUANTIZATION = "quantization_config"
ACTIVATIONS = ("int8", "float32")
_SIZES = {name: size for size, name in FORMATS.items()}
_HALVES = {"fp16": "F16", "bf16": "BF16"}
_KNOWN = (*_SIZES, *_HALVES)
_SHOWN = 8  # problems in one message


def matrices_of(model: Any) -> dict[str, Matrix]:
    """{path of a layer: its matrix}; of a matrix that several layers have, the first alone."""
    found: dict[str, Matrix] = {}
    seen: set[int] = set()
    for path, module in model.named_modules():
        if isinstance(module, QuantizedLinear | QuantizedEmbedding):
            if id(module.matrix) not in seen:
                found[path] = module.matrix
            seen.add(id(module.matrix))
    return found


def is_quantized(settings: Any) -> bool:
    """Whether a config.json says, under "quantization_config", that matrices are stored so."""
    return isinstance(settings, dict) and settings.get("quant_method") == METHOD


def quantization_settings(model: Any) -> dict[str, Any] | None:
    """What config.json says of a model's matrices; None for a model that has none.

    Raises ValueError where layers round their inputs in different ways.
    """
    matrices = matrices_of(model)
    if not matrices:
        return None
    layers = [layer for layer in model.modules() if isinstance(layer, QuantizedLinear)]
    ways = {layer.activations for layer in layers if isinstance(layer.matrix, QuantizedMatrix)}
    if len(ways) > 1:
        raise ValueError("save: activations are int8 in some layers and float32 in others")
    return {
        "quant_method": METHOD,
        "activations": next(iter(ways), ACTIVATIONS[0]),
        "modules": {path: matrix.format for path, matrix in matrices.items()},
    }


def stored_matrices(model: Any) -> dict[str, Array]:
    """The arrays of a model's matrices and all its parameters, by the names of a file."""
    found: dict[str, Array] = {}
    for path, matrix in matrices_of(model).items():
        found |= {f"{path}.{name}": host(Tensor(it)) for name, it in _arrays(matrix).items()}
    return found | {name: host(tensor) for name, tensor in model.named_parameters()}


def restore_matrices(model: Any, tensors: Mapping[str, Stored], settings: Any, source: str) -> None:
    """Gives a Transformer the matrices and parameters of a file, mapped as they are.

    Arguments:
        model: whose own weights are not looked at.
        tensors: by the names that `stored_matrices` gives.
        settings: what config.json says, see `quantization_settings`.
        source: how messages call the file.

    Raises ValueError for settings that are not right, and one that names every tensor that is
    missing, not expected, or of another type or shape. Then the model is as it was.
    """
    activations, formats = _checked(settings, source)
    places = _chosen(model, formats, source)
    parameters = dict(model.named_parameters())
    for place in places.values():
        for part in place.parts:
            parameters.pop(f"{part}.weight")
            parameters.pop(f"{part}.bias", None)
    expected = {name: (("F32",), tensor.shape) for name, tensor in parameters.items()}
    for path, place in places.items():
        expected |= {f"{path}.{name}": its for name, its in _expected(place, formats[path])}
    _compare(tensors, expected, source)

    arrays = {name: tensors[name].array() for name in expected}
    for name, tensor in parameters.items():
        tensor.data = arrays[name]
    for path, place in places.items():
        own = {name: arrays.get(f"{path}.{name}") for name in ("blocks", "row_scales", "weight")}
        _place(model, place, _matrix(own, place.shape), arrays.get(f"{path}.bias"), activations)


class _Place(NamedTuple):
    """Where a matrix belongs: the module and attribute, the layers that it replaces, its shape."""

    parent: Any
    name: str
    parts: tuple[str, ...]
    shape: tuple[int, int]
    bias: bool
    embeds: bool


def _places(model: Any) -> Iterator[tuple[str, _Place]]:
    """All layers that a matrix may replace, alone or stacked."""
    for path, parent, name, layer in replaceable(model):
        embeds = not isinstance(layer, nn.Linear)
        has_bias = not embeds and layer.bias is not None
        yield path, _Place(parent, name, (path,), layer.weight.shape, has_bias, embeds)
    for path, module in model.named_modules():
        names, target = STACKED.get(type(module), ((), ""))
        layers = [getattr(module, name) for name in names]
        if not layers or any(layer is None for layer in layers):
            continue
        shape = sum(layer.weight.shape[0] for layer in layers), layers[0].weight.shape[1]
        has_bias = all(layer.bias is not None for layer in layers)
        parts = tuple(f"{path}.{name}" for name in names)
        yield f"{path}.{target}", _Place(module, target, parts, shape, has_bias, False)


def _checked(settings: Any, source: str) -> tuple[str, dict[str, str]]:
    """(activations, {path: format}), or ValueError."""
    where = f"{source}: config.json: {QUANTIZATION}"
    if not is_quantized(settings):
        method = settings.get("quant_method") if isinstance(settings, dict) else settings
        raise ValueError(
            f"{where}: quant_method {method!r:.40} is not known here, only {METHOD!r}; load the "
            "model that it was made of, and quantize that"
        )
    activations, modules = settings.get("activations"), settings.get("modules")
    if activations not in ACTIVATIONS:
        raise ValueError(f"{where}: activations is {activations!r:.40}, expected int8 or float32")
    if not isinstance(modules, dict) or not modules:
        raise ValueError(f"{where}: modules is {modules!r:.40}, expected formats by layer")
    for path, format in modules.items():
        if format not in _KNOWN:
            raise ValueError(
                f"{where}: {path!r:.80} has format {format!r:.40}, expected one of "
                f"{', '.join(_KNOWN)}"
            )
    return activations, modules


def _chosen(model: Any, formats: Mapping[str, str], source: str) -> dict[str, _Place]:
    """The places of the layers that are named, each of which may be replaced once."""
    places = dict(_places(model))
    where = f"{source}: config.json: {QUANTIZATION}"
    taken: set[str] = set()
    for path in formats:
        if path not in places:
            raise ValueError(f"{where}: the model has no layer {path!r:.80} to be quantized")
        twice = taken.intersection(places[path].parts)
        if twice:
            raise ValueError(f"{where}: {min(twice)} is there twice, by itself and stacked")
        taken.update(places[path].parts)
    return {path: places[path] for path in formats}


def _expected(place: _Place, format: str) -> Iterator[tuple[str, tuple[Any, tuple[int, ...]]]]:
    """The tensors of a layer, with the type and shape that each must have."""
    outputs, inputs = place.shape
    if format in _HALVES:
        yield "weight", ((_HALVES[format],), place.shape)
    else:
        tiles, groups = -(-outputs // ROWS), -(-inputs // GROUP)
        yield "blocks", (("U8",), (tiles, groups, _SIZES[format]))
        if format == "int8":
            yield "row_scales", (("F32",), (tiles * ROWS,))
    if place.bias:
        yield "bias", (("F32",), (outputs,))


def _compare(tensors: Mapping[str, Stored], expected: Mapping[str, Any], source: str) -> None:
    """Raises ValueError that names all tensors that are not as they should be."""
    problems = [f"missing: {name}" for name in expected if name not in tensors]
    problems += [
        f"unexpected: {name} {its.shape}" for name, its in tensors.items() if name not in expected
    ]
    for name, (types, shape) in expected.items():
        if name not in tensors:
            continue
        found = tensors[name]
        if found.type not in types or tuple(found.shape) != tuple(shape):
            problems.append(
                f"{name} is {found.type} {tuple(found.shape)}, expected {types[0]} {tuple(shape)}"
            )
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ValueError(
            f"{source} does not fit the model that its config describes: "
            f"{'; '.join(problems[:_SHOWN])}{more}"
        )


def _arrays(matrix: Matrix) -> dict[str, Array]:
    if isinstance(matrix, HalfMatrix):
        return {"weight": matrix.weight}
    scales = {} if matrix.row_scales is None else {"row_scales": matrix.row_scales}
    return {"blocks": matrix.blocks, **scales}


def _matrix(arrays: Mapping[str, Any], shape: tuple[int, int]) -> Matrix:
    if arrays["weight"] is not None:
        return HalfMatrix(arrays["weight"])
    return QuantizedMatrix(arrays["blocks"], arrays["row_scales"], shape)


def _place(model: Any, place: _Place, matrix: Matrix, bias: Array | None, activations: str) -> None:
    if place.embeds:
        setattr(place.parent, place.name, QuantizedEmbedding(matrix))
        if model.lm_head is None:  # the embedding scores tokens, too
            model.lm_head = QuantizedLinear(matrix, None, activations)
        return
    if len(place.parts) > 1:
        parameter = None if bias is None else nn.Parameter(bias, requires_grad=False)
    else:
        parameter = getattr(place.parent, place.name).bias
        if parameter is not None:
            parameter.data = bias
    setattr(place.parent, place.name, QuantizedLinear(matrix, parameter, activations))
    if len(place.parts) > 1:
        for part in place.parts:
            setattr(place.parent, part.rpartition(".")[2], None)

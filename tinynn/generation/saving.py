"""`save`: a language model and its tokenizer as a folder, which `load` reads."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.generation.tokenizers.tokenizer import Tokenizer
from tinynn.generation.tokenizers.writing import check_rereading, special_ids, tokenizer_files
from tinynn.io import save_folder
from tinynn.models import Transformer, own_settings, read_hugging_face, to_hugging_face
from tinynn.quant import QUANTIZATION, quantization_settings, stored_matrices

if TYPE_CHECKING:
    from tinynn.io.atomic import StrPath

    Files = dict[str, bytes]

CONFIG = "config.json"


def save(model: Transformer, folder: StrPath, *, overwrite: bool = False) -> None:
    """Writes a model so that `load(folder)` gives the same one: the same scores, bit for bit.

    The folder holds config.json, model.safetensors, and of a model with a tokenizer tokenizer.json,
    tokenizer_config.json and, if there is one, chat_template.jinja. Quantized weights are written
    in their few bits, which `load` maps; config.json says which are. Other models are a folder as
    transformers reads it, if transformers has such a model; else, and where weights are quantized,
    `model_type` is "tinynn".

    Arguments:
        model: with its tokenizer as `model.tokenizer`, or without one.
        folder: must not exist, unless it is to be overwritten.
        overwrite: replace the folder of a model that is there, when the new one is complete.

    Raises:
        TypeError: another kind of model.
        ValueError: parameters that are not float32, a tokenizer that tokenizer.json cannot hold, or
            a folder to overwrite that holds anything else.
        FileExistsError: the folder is there; it stays as it is.
        OSError: the folder cannot be written.

    >>> import os, tempfile
    >>> from tinynn import generation, quant
    >>> from tinynn.models import TransformerConfig
    >>> sizes = {"vocab_size": 50, "hidden_size": 32, "num_layers": 1, "num_heads": 1}
    >>> model = quant.quantize(Transformer(TransformerConfig(**sizes)), "int8")
    >>> folder = os.path.join(tempfile.mkdtemp(), "small")
    >>> save(model, folder)
    >>> again = generation.load(folder)
    >>> again.layers[0].mlp.down_proj
    QuantizedLinear(QuantizedMatrix('int8', shape=(32, 128)))
    """
    if not isinstance(model, Transformer):
        raise TypeError(f"save: expected a Transformer, got {type(model).__name__}")
    for name, parameter in model.named_parameters():
        if parameter.dtype != np.float32:
            raise ValueError(
                f"save: {name} is {parameter.dtype}, expected float32; quantize(model, 'fp16') "
                "makes weights of 16 bits that can be saved"
            )
    if overwrite:
        _check_replaced(Path(folder))
    tokenizer = getattr(model, "tokenizer", None)
    settings, tensors = _contents(model)
    settings |= special_ids(tokenizer)
    files = {} if tokenizer is None else _checked(tokenizer, settings)
    save_folder(folder, settings, tensors, extra_files=files, overwrite=overwrite)


def _contents(model: Transformer) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what config.json says, the tensors)."""
    quantization = quantization_settings(model)
    if quantization is not None:
        return own_settings(model.config) | {QUANTIZATION: quantization}, stored_matrices(model)
    try:
        settings, tensors = to_hugging_face(model)
        if read_hugging_face(settings)[1] == model.config:
            return settings, tensors
    except ValueError:  # transformers has no such model
        pass
    return own_settings(model.config), stored_matrices(model)


def _checked(tokenizer: Tokenizer, settings: dict[str, Any]) -> Files:
    """The files of a tokenizer, from which the same one can be read."""
    files = tokenizer_files(tokenizer)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        (folder / CONFIG).write_text(json.dumps(settings))
        check_rereading(tokenizer, Tokenizer.from_folder(folder))
    return files


def _check_replaced(folder: Path) -> None:
    """Raises ValueError for a folder with anything in it that `save` does not write."""
    if not folder.is_dir():
        return
    others = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.name not in _WRITTEN and not entry.match("model*.safetensors")
    )
    if others or not (folder / CONFIG).is_file():
        what = f"it holds {others[0]}" if others else f"it has no {CONFIG}"
        raise ValueError(
            f"save: {folder} is not the folder of a saved model ({what}), so it is not overwritten"
        )


_WRITTEN = {
    *(CONFIG, "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"),
    *("chat_template.jinja", "generation_config.json", "special_tokens_map.json"),
}

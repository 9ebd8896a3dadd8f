"""`load`: a language model and its tokenizer, from a file, a folder or a name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinynn.generation.published import PUBLISHED, pull
from tinynn.generation.tokenizers.tokenizer import Tokenizer
from tinynn.io import read_folder, read_gguf
from tinynn.io.stored import release
from tinynn.models import (
    Transformer,
    load_weights,
    match_weights,
    read_gguf_config,
    read_hugging_face,
)
from tinynn.nn import init
from tinynn.quant import (
    FORMATS,
    QUANTIZATION,
    STORED,
    is_quantized,
    place_matrices,
    restore_matrices,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tinynn.io import StoredTensor
    from tinynn.models import TransformerConfig


def load(
    path_or_name: str | Path = "smollm2",
    quantize: str | None = None,
    device: Any = "cpu",
    *,
    progress: Callable[[str], None] | None = None,
) -> Any:
    """A `Transformer` for `generate`, with its tokenizer as `model.tokenizer`.

    Without `quantize` weights that a file keeps in float32 are mapped: they are read as they are
    used. Others become float32.

    Arguments:
        path_or_name: a GGUF file, a Hugging Face folder, one that `save` wrote, or a model that
            `pull` knows, which is fetched the first time.
        quantize: what the weights of linear layers and the embedding are rounded to: "int8",
            "int8-32", "int4", "int4-symmetric", "fp16" or "bf16" (see `quant.quantize`); or
            "stored", which leaves 16-bit floats and the blocks Q8_0, Q4_0 and Q4_1 as the file has
            them. A model that was saved quantized is as it was, and mapped: None or "stored".
        device: where it computes.
        progress: receives a line of text where a model is fetched; None prints to stderr.

    A folder without tokenizer.json gives a model whose `tokenizer` is None, for prompts of ids.

    Raises ValueError for a file that is damaged or not supported, in one line that names it and
    what is wrong; FileNotFoundError where there is neither such a path nor such a name.
    """
    path = Path(path_or_name)
    if not path.exists() and str(path_or_name) in PUBLISHED:
        path = pull(str(path_or_name), progress)
    if not path.exists():
        raise FileNotFoundError(
            f"load: there is no file or folder {str(path)!r}, and no model of that name: "
            f"{', '.join(PUBLISHED)}"
        )
    if quantize not in (None, STORED, *FORMATS):
        known = ", ".join((STORED, *FORMATS))
        raise ValueError(f"load: quantize {quantize!r} is not a format; there are {known}")
    read = _from_folder if path.is_dir() else _from_gguf
    try:
        family, config, tensors, tokenizer, quantization = read(path)
        _check_size(config, tensors)
        with init.skip():
            model = Transformer(config)
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"load: {path}: {error}") from None
    if is_quantized(quantization) and quantize not in (None, STORED):
        raise ValueError(
            f"load: {path} is quantized already, and rounding it again to {quantize} would lose "
            f"more; leave the format out, give {STORED!r}, or load the model that it was made of"
        )
    if quantization is not None:
        restore_matrices(model, tensors, quantization, str(path))
    elif quantize is None:
        load_weights(model, tensors, family, str(path))
    else:
        place_matrices(model, match_weights(model, tensors, family, str(path)), quantize)
    release(tensors.values())
    model.tokenizer = tokenizer
    model.to(device=device)
    return model.eval()


def _check_size(config: TransformerConfig, tensors: Mapping[str, StoredTensor]) -> None:
    """Raises ValueError for a model that a file cannot hold, before memory is asked for it."""
    nbytes = sum(tensor.nbytes for tensor in tensors.values())
    if config.matrix_numbers() > 8 * nbytes:  # a bit each, which no format has
        raise ValueError(
            f"its config describes matrices of {config.matrix_numbers():,} numbers, but its "
            f"tensors have {nbytes:,} bytes"
        )


def _from_gguf(path: Path) -> tuple[Any, ...]:
    file = read_gguf(path)
    family, config = read_gguf_config(file.metadata, file.tensors)
    return family, config, file.tensors, Tokenizer.from_gguf(file.metadata), None


def _from_folder(path: Path) -> tuple[Any, ...]:
    folder = read_folder(path)
    family, config = read_hugging_face(folder.config)
    has_tokenizer = (path / "tokenizer.json").exists()
    tokenizer = Tokenizer.from_folder(path) if has_tokenizer else None
    return family, config, folder.tensors, tokenizer, folder.config.get(QUANTIZATION)

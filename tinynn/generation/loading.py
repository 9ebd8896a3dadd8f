"""`load`: a language model and its tokenizer, from a file, a folder or a name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinynn.generation.published import PUBLISHED, pull
from tinynn.generation.tokenizer import Tokenizer
from tinynn.io import read_folder, read_gguf
from tinynn.models import Transformer, load_weights, read_gguf_config, read_hugging_face
from tinynn.nn import init

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def load(
    path_or_name: str | Path = "smollm2",
    device: Any = "cpu",
    *,
    progress: Callable[[str], None] | None = None,
) -> Any:
    """A `Transformer` for `generate`, with its tokenizer as `model.tokenizer`.

    Weights that a file keeps in float32 are mapped: they are read as they are used. Others become
    float32.

    Arguments:
        path_or_name: a GGUF file, a Hugging Face folder, or a model that `pull` knows, which is
            fetched the first time.
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
    model = _from_folder(path) if path.is_dir() else _from_gguf(path)
    model.to(device=device)
    return model.eval()


def _from_gguf(path: Path) -> Transformer:
    file = read_gguf(path)
    family, config = read_gguf_config(file.metadata, file.tensors)
    return _filled(path, family, config, file.tensors, Tokenizer.from_gguf(file.metadata))


def _from_folder(path: Path) -> Transformer:
    folder = read_folder(path)
    family, config = read_hugging_face(folder.config)
    has_tokenizer = (path / "tokenizer.json").exists()
    tokenizer = Tokenizer.from_folder(path) if has_tokenizer else None
    return _filled(path, family, config, folder.tensors, tokenizer)


def _filled(
    path: Path, family: Any, config: Any, tensors: Mapping[str, Any], tokenizer: Tokenizer | None
) -> Transformer:
    with init.skip():
        model = Transformer(config)
    load_weights(model, tensors, family, str(path))
    model.tokenizer = tokenizer
    return model

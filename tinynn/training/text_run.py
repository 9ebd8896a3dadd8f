"""The folder of a run on a text; when it is finished, a folder as Hugging Face has them.

run.json          the recipe and where the text came from
tokenizer.json    the vocabulary
tokens.bin        the ids of the text, mapped
metrics.jsonl     a row for each evaluation
checkpoints/
config.json       the rest when the training is finished
model.safetensors
curves.png
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tinynn.data import map_tokens, write_tokens
from tinynn.io.atomic import StrPath, atomic_write
from tinynn.io.huggingface import read_folder
from tinynn.io.safetensors import save_safetensors
from tinynn.models import Transformer, load_weights, read_hugging_face, to_hugging_face
from tinynn.nn import init
from tinynn.training.run_files import TEXT_RUN, RunFiles
from tinynn.training.text_recipe import TextRecipe
from tinynn.training.vocabulary import Vocabulary, read_vocabulary

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["TextRun", "TextRunFolder"]

FORMAT = 1


class TextRun(NamedTuple):
    """What a run was begun with: its recipe, the text's path or name, vocabulary and ids."""

    recipe: TextRecipe
    data: str
    vocabulary: Vocabulary
    tokens: Array


class TextRunFolder(RunFiles):
    """The files of a run, by name."""

    def __init__(self, path: StrPath) -> None:
        super().__init__(path)
        self.run = self.path / TEXT_RUN
        self.tokenizer = self.path / "tokenizer.json"
        self.tokens = self.path / "tokens.bin"

    def holds_run(self) -> bool:
        return self.run.exists() or super().holds_run()

    def begin(self, recipe: TextRecipe, data: str, text: str, vocabulary: Vocabulary) -> None:
        """Writes what a run begins with; run.json comes last, when all else is there."""
        import tinynn

        self.path.mkdir(parents=True, exist_ok=True)
        write_tokens(self.tokens, vocabulary.encode(text), vocabulary.size)
        with atomic_write(self.tokenizer, "w") as file:
            file.write(vocabulary.to_json())
        document = {
            "format": FORMAT,
            "tinynn": tinynn.__version__,
            "data": data,
            "recipe": recipe.to_dict(),
        }
        self._write_json(self.run, document)

    def load(self) -> TextRun:
        """Reads what a run was begun with; FileNotFoundError, or ValueError for a damaged file."""
        if not self.run.is_file():
            raise FileNotFoundError(
                f"{self.path} is not the folder of a run on a text: it has no {self.run.name}"
            )
        try:
            document = json.loads(self.run.read_bytes())
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']}, this version reads {FORMAT}")
            recipe, data = TextRecipe.from_dict(document["recipe"]), document["data"]
            if not isinstance(data, str):
                raise ValueError("data is not a path")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{self.run} is damaged: {reason}") from None
        try:
            vocabulary = read_vocabulary(self.tokenizer.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        return TextRun(recipe, data, vocabulary, map_tokens(self.tokens, vocabulary.size))

    def load_model(self) -> Transformer:
        """The trained model; FileNotFoundError where the run is not finished, ValueError for a
        damaged file."""
        if not self.model.is_file():
            raise FileNotFoundError(
                f"{self.path} has no {self.model.name}, its training is not finished; go on with: "
                f"tinynn train gpt --resume --out {self.path}"
            )
        folder = read_folder(self.path)
        family, config = read_hugging_face(folder.config)
        with init.skip():
            model = Transformer(config)
        load_weights(model, folder.tensors, family, str(self.path))
        return model.eval()

    def save_model(self, model: Transformer) -> None:
        """Writes the model as `generation.load` and transformers read it."""
        config, tensors = to_hugging_face(model)
        self._write_json(self.config, config)
        save_safetensors(self.model, tensors, {"format": "pt"})

    def _write_json(self, path: Any, document: Any) -> None:
        with atomic_write(path, "w") as file:
            json.dump(document, file, indent=2)
            file.write("\n")

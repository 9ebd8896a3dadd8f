"""The folder of a training run: what is in it, and how a trained model is read back."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from tinynn.data.normalization import MNIST_MEAN, MNIST_STD
from tinynn.io.atomic import StrPath, atomic_write
from tinynn.io.safetensors import load_safetensors, save_safetensors
from tinynn.models import CNN, MLP
from tinynn.nn import Module
from tinynn.ops.conversion import host
from tinynn.training.recipe import MODELS, Recipe
from tinynn.training.run_files import TEXT_RUN, RunFiles

__all__ = ["RunConfig", "RunFolder"]

FORMAT = 1


@dataclass(frozen=True)
class RunConfig:
    """What config.json says: the recipe, and what the network sees and answers.

    Arguments:
        data: the folder of IDX files that the run was trained on; None is MNIST in the cache.
        height, width: of the images, pixels.
        classes: the names of the classes.
        mean, std: what pixels, as fractions of full white, are normalized with.
    """

    recipe: Recipe
    data: str | None
    height: int
    width: int
    classes: tuple[str, ...]
    mean: float = MNIST_MEAN
    std: float = MNIST_STD

    def make_model(self) -> MLP | CNN:
        """A new network; its initial values come from the seed in use."""
        make = MODELS[self.recipe.model]
        return make(self.recipe, (self.height, self.width), len(self.classes))


class RunFolder(RunFiles):
    """The files of a run, by name."""

    def __init__(self, path: StrPath) -> None:
        super().__init__(path)
        self.config = self.path / "config.json"
        self.confusion = self.path / "confusion.png"
        self.mistakes = self.path / "mistakes.png"
        self.weights = self.path / "weights.png"
        self.lr_range = self.path / "lr_range.png"

    def save_config(self, config: RunConfig) -> None:
        import tinynn

        model = config.make_model()
        document = {
            "format": FORMAT,
            "tinynn": tinynn.__version__,
            "model": {
                "name": type(model).__name__,
                "sizes": model.sizes,
                "activation": config.recipe.activation,
                "dropout": config.recipe.dropout,
            },
            "input": {
                "height": config.height,
                "width": config.width,
                "mean": config.mean,
                "std": config.std,
            },
            "classes": config.classes,
            "data": config.data,
            "recipe": config.recipe.to_dict(),
        }
        with atomic_write(self.config, "w") as file:
            json.dump(document, file, indent=2)
            file.write("\n")

    def load_config(self) -> RunConfig:
        """Reads config.json; raises FileNotFoundError, or ValueError for one without sense."""
        if (self.path / TEXT_RUN).is_file():
            raise ValueError(
                f"{self.path} is the run of a language model, which knows no images; try: "
                f"tinynn generate PROMPT --model {self.path}"
            )
        if not self.config.is_file():
            raise FileNotFoundError(
                f"{self.path} is not the folder of a run: it has no {self.config.name}"
            )
        try:
            document = json.loads(self.config.read_bytes())
            if document["format"] != FORMAT:
                raise ValueError(f"format {document['format']}, this version reads {FORMAT}")
            config = _config_from(document)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{self.config} is damaged: {reason}") from None
        return config

    def save_model(self, model: Module) -> None:
        arrays = {name: host(tensor) for name, tensor in model.state_dict().items()}
        save_safetensors(self.model, arrays)

    def load_model(self) -> tuple[MLP | CNN, RunConfig]:
        """The trained network and its config.

        Raises FileNotFoundError where the run is not finished, ValueError for a damaged file.
        """
        config = self.load_config()
        if not self.model.is_file():
            raise FileNotFoundError(
                f"{self.path} has no {self.model.name}, its training is not finished; go on with: "
                f"tinynn train mnist --resume --out {self.path}"
            )
        model = config.make_model()
        try:
            model.load_state_dict(load_safetensors(self.model))
        except RuntimeError as error:
            reason = str(error).partition("\n")[2].strip().replace("\n ", ";")
            raise ValueError(f"{self.model} does not fit {self.config.name}: {reason}") from None
        return model.eval(), config


def _config_from(document: Any) -> RunConfig:
    image, classes, data = document["input"], document["classes"], document["data"]
    sizes = image["height"], image["width"]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(f"images of {sizes[0]} x {sizes[1]} pixels")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError("classes is not a list of names")
    if not (data is None or isinstance(data, str)):
        raise ValueError("data is not a path")
    recipe = Recipe.from_dict(document["recipe"])
    mean, std = float(image["mean"]), float(image["std"])
    if not (math.isfinite(mean) and 0 < std < math.inf):
        raise ValueError(f"mean {mean:g} and std {std:g} cannot normalize images")
    return RunConfig(recipe, data, *sizes, tuple(classes), mean, std)

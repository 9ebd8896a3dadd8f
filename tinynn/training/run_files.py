"""The files that every training run leaves, and what can be done with all of them."""

from __future__ import annotations

import shutil
from pathlib import Path

from tinynn.io.atomic import StrPath, remove_leftovers

__all__ = ["TEXT_RUN", "RunFiles"]

# What only the run of a language model has.
TEXT_RUN = "run.json"


class RunFiles:
    """The files of a run, by name."""

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model.safetensors"
        self.curves = self.path / "curves.png"

    def holds_run(self) -> bool:
        """Whether a run was begun here."""
        return self.config.exists() or self.checkpoints.exists() or self.model.exists()

    def contents(self) -> list[Path]:
        """Those of a run's files and folders that are there."""
        named = [path for name, path in vars(self).items() if name != "path"]
        return [path for path in named if path.exists()]

    def clear(self) -> None:
        """Deletes the run, and nothing else that is in the folder."""
        for path in self.contents():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        if self.path.is_dir():
            remove_leftovers(self.path)

    def refuse_other_run(self, resume: bool, overwrite: bool) -> None:
        """Raises FileExistsError for a file, and for a run that nothing is said about."""
        if self.path.is_file():
            raise FileExistsError(f"{self.path} is a file, expected a folder for the run (--out)")
        if self.holds_run() and not (resume or overwrite):
            raise FileExistsError(
                f"{self.path} holds a run already: go on with it (--resume), replace it "
                "(--overwrite), or choose another folder (--out)"
            )

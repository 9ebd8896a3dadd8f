"""All runs of the study of quantization."""

from __future__ import annotations

from typing import Any

from tinynn.studies.quantization import networks
from tinynn.studies.quantization.formats import (
    FormatTask,
    SpeedTask,
    measure_format,
    measure_speed,
)
from tinynn.studies.quantization.layers import KINDS, LayerTask, measure_layer
from tinynn.studies.quantization.outliers import EVERY, OutlierTask, measure_outliers
from tinynn.studies.quantization.settings import EXACT, WHOLE, Settings
from tinynn.studies.quantization.subject import formats_of, subject_of
from tinynn.studies.shared.workers import Workers

__all__ = ["run_all"]


def run_all(settings: Settings, seed: int, workers: Workers) -> dict[str, Any]:
    """All that is measured."""
    subject = subject_of(workers.place, settings, seed)
    model = subject.model(EXACT, "float32")
    described = {
        "title": subject.title,
        "kinds": subject.kinds,
        "layers": len(model.layers),
        "parameters": sum(parameter.data.size for parameter in model.parameters()),
        "tokens": subject.windows[:-2, 1:].size,
    }
    depths = range(len(model.layers))
    del model
    formats = formats_of(settings)
    return {
        "subject": described,
        "networks": _networks(settings, seed, workers),
        "formats": _formats(settings, seed, workers, formats, "int8"),
        "exact_inputs": _formats(settings, seed, workers, list(WHOLE), "float32"),
        "speed": workers.map(
            "speed in all formats", measure_speed, [SpeedTask(settings, seed)], alone=True
        )[0],
        "layers": workers.map(
            "single layers made coarse",
            measure_layer,
            [LayerTask(settings, seed, depth) for depth in depths],
        ),
        "outliers": _outliers(settings, seed, workers),
    }


def _networks(settings: Settings, seed: int, workers: Workers) -> dict[str, Any]:
    """By width: what was measured of each training."""
    widths = sorted(settings.widths, reverse=True)
    tasks = [
        networks.Task(settings, width, seed + run)
        for width in widths
        for run in range(settings.runs)
    ]
    done = workers.map("networks trained and rounded", networks.examine, tasks)
    return {
        str(width): [
            result for task, result in zip(tasks, done, strict=True) if task.width == width
        ]
        for width in reversed(widths)
    }


def _formats(
    settings: Settings, seed: int, workers: Workers, formats: list[str], activations: str
) -> dict[str, Any]:
    title = "perplexity by format"
    if activations == "float32":
        title += ", inputs exact"
    tasks = [FormatTask(settings, seed, format, activations) for format in formats]
    return dict(zip(formats, workers.map(title, measure_format, tasks), strict=True))


def _outliers(settings: Settings, seed: int, workers: Workers) -> dict[str, Any]:
    """By kind of layers, and the table of tokens under "ends"."""
    names = [EVERY, *KINDS]
    tasks = [OutlierTask(settings, seed, name) for name in (*names, None)]
    *found, ends = workers.map("outliers kept exact", measure_outliers, tasks)
    return dict(zip(names, found, strict=True)) | ends

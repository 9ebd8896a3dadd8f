"""Results of the study of quantization that are made up."""

from dataclasses import asdict

import numpy as np

from tinynn.studies.quantization.layers import EMBEDDING, HEAD, KINDS
from tinynn.studies.quantization.outliers import EVERY
from tinynn.studies.quantization.settings import EXACT, WHOLE, Settings
from tinynn.studies.shared.study import Results

# Format -> what it adds to the loss (nats), the weights (MB), milliseconds a token written.
FORMATS = {
    EXACT: (0.0, 540.0, 64.0),
    "fp16": (0.0, 270.0, 34.0),
    "bf16": (0.0001, 270.0, 34.0),
    "int8-32": (0.002, 144.0, 20.0),
    "int8": (0.008, 136.0, 20.0),
    "int4": (0.05, 84.0, 16.0),
    "int4-symmetric": (0.2, 76.0, 15.0),
    "stored": (0.0, 98.0, 17.0),
}
INPUTS = 0.002  # what rounding the inputs of layers adds to the loss
DEPTHS = 3
SPREAD = np.array([-0.0002, 0.0, 0.0002])


def expected_results(change=lambda measured: None, **settings):
    """Results with the numbers above, changed as the test wants."""
    measured = {
        "subject": {
            "title": "SmolLM2-135M-Instruct",
            "kinds": {"Q4_1": 210, "Q8_0": 1},
            "layers": DEPTHS,
            "parameters": 134_515_008,
            "tokens": 1536,
        },
        "networks": {"96": networks(1.8, 1.8e6), "160": networks(1.6, 5e6)},
        "formats": {
            format: {"losses": losses(added), "bytes": 1e6 * size}
            for format, (added, size, _) in FORMATS.items()
        },
        "exact_inputs": {
            format: {"losses": losses(FORMATS[format][0] - INPUTS, 0.5), "bytes": 1e6}
            for format in WHOLE
        },
        "speed": {
            "threads": 2,
            "written": rounds(1e-3 * 32),
            "prompt": rounds(1e-4 * 32),
        },
        "layers": [layer(depth) for depth in range(DEPTHS)],
        "outliers": {name: outliers(index) for index, name in enumerate([EVERY, *KINDS])}
        | {"ends": {EMBEDDING: 0.01, HEAD: 0.03}},
    }
    change(measured)
    return Results(asdict(Settings(windows=3, **settings)), measured, {})


def losses(added, spread=1.0):
    """Of three passages: the differences from the exact ones spread a little."""
    return [float(3.5 + place + added) for place in spread * SPREAD] if added else [3.5] * 3


def networks(loss, size):
    """Three trainings, by format."""
    return [
        {
            format: {
                "loss": loss + shift + added,
                "bytes": size * megabytes / FORMATS[EXACT][1],
            }
            for format, (added, megabytes, _) in FORMATS.items()
            if format != "stored"
        }
        for shift in (-0.01, 0.0, 0.01)
    ]


def rounds(factor):
    return {
        format: [milliseconds * factor * part for part in (0.9, 1.0, 1.2)]
        for format, (_, _, milliseconds) in FORMATS.items()
    }


def layer(depth):
    """The later a kind, and the deeper a layer, the more harm, with the error and the inputs."""
    return {
        kind: {
            "divergence": 0.001 * (1 + 3 * index + depth),
            "error": 0.01 * (1 + 3 * index + depth),
            "input_peak": 10.0 * (1 + 3 * index + depth),
            "weight_peak": 3.0 - 0.1 * (1 + 3 * index + depth),
        }
        for index, kind in enumerate(KINDS)
    }


def outliers(index):
    harm = 0.1 if index == 0 else 0.01 * index
    return {
        "weights": {"none": harm, "at random": 0.98 * harm, "largest inputs": 0.4 * harm},
        "inputs": {
            "token": harm / 2,
            "token, but for the largest": harm / 10,
            "group": harm / 20,
        },
    }

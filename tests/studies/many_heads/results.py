"""Results of a study that never ran, for the words to choose by."""

from __future__ import annotations

import copy
from dataclasses import asdict

from tinynn.studies.many_heads.task import Settings, expected
from tinynn.studies.shared.study import Results

SETTINGS = Settings(runs=3, timing_sets=3)
SHARES = {
    "linear layer": {1: 0.344, 2: 0.563, 4: 1.0, 8: 1.0},
    "MLP": {1: 0.64, 2: 0.97, 4: 1.0, 8: 1.0},
}
SPREAD = (-0.004, 0.0, 0.004)  # of the trainings


def a_run(readout, heads, shift):
    share = SHARES[readout][heads] + shift
    first = [0.9, 0.02, 0.01, 0.01] if readout == "linear layer" else [0.5, 0.25, 0.1, 0.05]
    weights = [[[1.0, 0.0], [0.5, 0.5]]] * heads
    return {
        "rate": 0.005,
        "losses": [1.0, 0.5, 0.1],
        "validation": share,
        "accuracy": [share] * 4,
        "mass": [first] * heads,
        "example": {"weights": weights, "places": [[0, 1, 0, 1], [1, 0, 1, 0]]},
    }


def expected_results(change=lambda run, readout, heads: None, slower=1.2):
    """Results with every effect that one would expect.

    Arguments:
        change: is given each run, its readout and its number of heads, and may change it.
        slower: how much longer the kernels take for each doubling of the heads.
    """
    runs = {readout: {str(heads): [] for heads in SETTINGS.heads} for readout in SHARES}
    for readout, found in runs.items():
        for heads in SETTINGS.heads:
            for shift in SPREAD:
                run = a_run(readout, heads, shift)
                change(run, readout, heads)
                found[str(heads)].append(run)
    times = {
        str(heads): [1e-3 * slower**place * noise for noise in (0.99, 1.0, 1.01)]
        for place, heads in enumerate(SETTINGS.heads)
    }
    sets = [
        {heads: [scale * s for s in seconds] for heads, seconds in times.items()}
        for scale in (0.98, 1.0, 1.03)
    ]
    measured = {
        "parameters": 12345,
        "expected": {str(heads): expected(SETTINGS, heads) for heads in SETTINGS.heads},
        "runs": runs,
        "timings": {"threads": 1, "prefill": sets, "decode": copy.deepcopy(sets)},
    }
    return Results(asdict(SETTINGS), copy.deepcopy(measured), {"seed": 0})

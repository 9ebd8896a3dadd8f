"""The matrix products of an MLP's step alone: the part that no engine can avoid.

Three for each layer, less one, since nobody asks for the gradient of the images; by NumPy's BLAS,
into memory that is there already.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from benchmarks.workloads import Step


def products(sizes: Sequence[int], batch: int) -> Step:
    """One step's products a call."""
    generator = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return generator.standard_normal((rows, columns), dtype=np.float32)

    operands = []
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        x, weight, gradient = matrix(batch, inputs), matrix(outputs, inputs), matrix(batch, outputs)
        operands.append((x, weight.T, np.empty_like(gradient)))
        operands.append((gradient.T, x, np.empty_like(weight)))
        if layer:
            operands.append((gradient, weight, np.empty_like(x)))

    def step() -> None:
        for left, right, out in operands:
            np.matmul(left, right, out=out)

    return step

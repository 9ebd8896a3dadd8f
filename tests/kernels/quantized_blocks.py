"""Blocks of a quantized matrix and the numbers in them, laid out one by one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

# Bytes of a block -> (bits, float16 for each row)
SIZES = {512: (8, 0), 544: (8, 1), 288: (4, 1), 320: (4, 2)}


class Matrix(NamedTuple):
    blocks: Any
    row_scales: Any
    numbers: Any  # [outputs, columns] float64
    parts: Any  # |scale * code| + |offset|, what rounding errors of sums are relative to


def random_matrix(size: int, outputs: int, columns: int, seed: int = 0) -> Matrix:
    """A matrix of random codes, among them the lowest and the highest, with scales around 1."""
    rng = np.random.default_rng(seed)
    bits, halves = SIZES[size]
    tiles, groups = -(-outputs // 16), -(-columns // 32)
    codes = rng.integers(0, 2**bits, (tiles * 16, groups * 32))
    codes[0], codes[-1] = 0, 2**bits - 1
    scales = rng.uniform(-2, 2, (tiles * 16, groups)).astype(np.float16)
    offsets = rng.uniform(-9, 9, (tiles * 16, groups)).astype(np.float16)
    row_scales = rng.uniform(0.5, 2, tiles * 16).astype(np.float32) if halves == 0 else None
    blocks = np.zeros((tiles, groups, size), np.uint8)
    for row in range(tiles * 16):
        for g in range(groups):
            block, lane = blocks[row // 16, g], row % 16
            for k, half in enumerate((scales, offsets)[:halves]):
                place = 32 * k + 2 * lane
                block[place : place + 2] = np.frombuffer(half[row, g].tobytes(), np.uint8)
            for c in range(32):
                code = codes[row, 32 * g + c]
                if bits == 4 and c >= 16:
                    c, code = c - 16, code << 4
                block[32 * halves + 64 * (c // 4) + 4 * lane + c % 4] |= code
    wide = np.repeat(scales.astype(float), 32, 1) if halves else row_scales[:, None].astype(float)
    shift = np.repeat(offsets.astype(float), 32, 1)
    if halves < 2:
        codes, shift = codes - 2 ** (bits - 1), np.zeros(1)
    numbers, parts = wide * codes + shift, np.abs(wide * codes) + np.abs(shift)
    numbers, parts = (array[:outputs, :columns] for array in (numbers, parts))
    return Matrix(blocks, row_scales, numbers, parts)


def half_steps(x: Any) -> Any:
    """By how much each number may be off that is rounded to int8 in groups of 32 columns."""
    steps = np.zeros(x.shape)
    for g in range(0, x.shape[1], 32):
        group = np.abs(x[:, g : g + 32].astype(float))
        steps[:, g : g + 32] = group.max(axis=1, keepdims=True) / 254
    return steps

"""Tiles: eight rows of a matrix product, one vector wide, that stay in registers until complete.

The products of eight numbers of the left matrix with one vector of the right are added to eight
vectors: so every vector that is loaded serves eight rows, and nothing is stored before the sums are
complete. The left matrix need not lie in memory: its number in row i and column s is
x[rows[i] + steps[s]], whatever the two tables say.
"""

from __future__ import annotations

from numba.extending import register_jitable

from tinynn.kernels.cpu.vectors import add_multiple, interleave, load, store

ROWS = 8

# Written out eight times: a loop over vectors would keep them in memory. And inlined, for the many
# arguments would else be passed through memory, too.
_inlined = register_jitable(forceinline=True)


@_inlined
def add_products(x, rows, i, steps, first, last, matrix, column, out, place, pitch):
    """Adds to the tile of `out` that begins at out[place], its rows being `pitch` apart:

    out[place + r * pitch + lane] +=
        sum of x[rows[i + r] + steps[s]] * matrix[s - first, column + lane] over first <= s < last
    """
    r0, r1, r2, r3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
    r4, r5, r6, r7 = rows[i + 4], rows[i + 5], rows[i + 6], rows[i + 7]
    a0, a1, a2, a3, a4, a5, a6, a7 = _load_rows(out, place, pitch)
    steps, width = steps[first:last], matrix.shape[1]
    for s in range(steps.size):
        step, vector = steps[s], load(matrix, s * width + column)
        a0 = add_multiple(a0, vector, x, r0 + step)
        a1 = add_multiple(a1, vector, x, r1 + step)
        a2 = add_multiple(a2, vector, x, r2 + step)
        a3 = add_multiple(a3, vector, x, r3 + step)
        a4 = add_multiple(a4, vector, x, r4 + step)
        a5 = add_multiple(a5, vector, x, r5 + step)
        a6 = add_multiple(a6, vector, x, r6 + step)
        a7 = add_multiple(a7, vector, x, r7 + step)
    _store_rows(out, place, pitch, (a0, a1, a2, a3, a4, a5, a6, a7))


@_inlined
def transpose(x, place, pitch, out):
    """Writes the tile of x that begins at x[place] with columns as rows: out[lane * ROWS + r].

    Three times, the first four rows are interleaved with the last four. Each time one binary digit
    of a row's number becomes the last digit of the place in memory.
    """
    a0, a1, a2, a3, a4, a5, a6, a7 = _load_rows(x, place, pitch)
    for _ in range(3):
        (b0, b1), (b2, b3) = interleave(a0, a4), interleave(a1, a5)
        (b4, b5), (b6, b7) = interleave(a2, a6), interleave(a3, a7)
        a0, a1, a2, a3, a4, a5, a6, a7 = b0, b1, b2, b3, b4, b5, b6, b7
    _store_rows(out, 0, out.size // ROWS, (a0, a1, a2, a3, a4, a5, a6, a7))


@_inlined
def _load_rows(x, place, pitch):
    return (
        load(x, place),
        load(x, place + pitch),
        load(x, place + 2 * pitch),
        load(x, place + 3 * pitch),
        load(x, place + 4 * pitch),
        load(x, place + 5 * pitch),
        load(x, place + 6 * pitch),
        load(x, place + 7 * pitch),
    )


@_inlined
def _store_rows(out, place, pitch, vectors):
    store(out, place, vectors[0])
    store(out, place + pitch, vectors[1])
    store(out, place + 2 * pitch, vectors[2])
    store(out, place + 3 * pitch, vectors[3])
    store(out, place + 4 * pitch, vectors[4])
    store(out, place + 5 * pitch, vectors[5])
    store(out, place + 6 * pitch, vectors[6])
    store(out, place + 7 * pitch, vectors[7])

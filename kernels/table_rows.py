"""Which row of a small table belongs to each vector of a larger array."""

from __future__ import annotations


def steps_of_table(lead: tuple[int, ...], table: tuple[int, ...]) -> tuple[int, ...] | None:
    """(middle, inner, outer step, middle step, inner step): the vector at [a, b, c] of
    [outer, middle, inner] is turned by row a * outer step + b * middle step + c * inner step of
    the tables. None where the axes along which the tables stay the same are too mixed for that.
    """
    if len(table) > len(lead):
        return None
    runs: list[tuple[int, bool]] = []
    for size, own in zip(lead, (1,) * (len(lead) - len(table)) + table, strict=True):
        if own not in (1, size):
            return None
        if size == 1:
            continue
        varies = own == size
        if runs and runs[-1][1] == varies:
            runs[-1] = (runs[-1][0] * size, varies)
        else:
            runs.append((size, varies))
    if len(runs) < 2:
        runs.append((1, False))
    if len(runs) > 3:
        return None
    (_, outer), (middle, central), (inner, last) = [(1, False)] * (3 - len(runs)) + runs
    row = inner if last else 1
    return middle, inner, (row * (middle if central else 1)) * outer, row * central, int(last)

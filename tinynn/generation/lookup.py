"""Prompt look-up: drafts of the next tokens, from where the last ones stood before.

Texts repeat themselves: names, quotations, code. If the last tokens occurred earlier, what followed
them there is a draft, which the model checks in one step (https://arxiv.org/abs/2304.04487).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST, SHORTEST = 3, 2  # tokens that have to agree


class Lookup:
    """Where every short run of tokens of a text ended last; it grows with the text.

    >>> lookup = Lookup()
    >>> lookup.draft([5, 6, 7, 8, 5, 6], 3)
    [7, 8, 5]
    """

    def __init__(self) -> None:
        self._ends: dict[tuple[int, ...], int] = {}
        self._known = 0

    def draft(self, tokens: Sequence[int], count: int) -> list[int]:
        """At most `count` tokens that may come next; none where the last ones are new.

        The tokens must begin with those of the call before.
        """
        # The run that the text ends with is not yet known: it would find itself.
        for end in range(self._known, len(tokens)):
            for size in range(SHORTEST, LONGEST + 1):
                if end >= size:
                    self._ends[tuple(tokens[end - size : end])] = end
        self._known = max(len(tokens), self._known)
        for size in range(LONGEST, SHORTEST - 1, -1):
            place = self._ends.get(tuple(tokens[-size:]))
            if place is not None:
                return list(tokens[place : place + count])
        return []

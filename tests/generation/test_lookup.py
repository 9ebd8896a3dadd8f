"""Drafts, against a search through the whole text."""

from hypothesis import given
from hypothesis import strategies as st

from tinynn.generation.lookup import Lookup


def searched(tokens, count):
    for size in (3, 2):
        if len(tokens) < size:
            continue
        for end in range(len(tokens) - 1, size - 1, -1):
            if tokens[end - size : end] == tokens[-size:]:
                return tokens[end : end + count]
    return []


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 5), st.integers(1, 4))
def test_drafts_are_what_followed_last_time(tokens, count, pace):
    lookup = Lookup()
    for length in range(0, len(tokens) + 1, pace):
        assert lookup.draft(tokens[:length], count) == searched(tokens[:length], count)

"""Faults planted in the sources, to see that the tests catch them.

A fault is a change of the text of one file, as a tired person would make it. It says what must
catch it; a fault that nothing catches is a test that is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.cuda_on_cpu.installed import installed
from tests.cuda_on_cpu.raw_module import LaunchError

# What may catch a fault: wrong numbers or NaN in one of the orders of the threads, or a write
# beyond an array; the harness itself; or a sanitizer.
CATCHERS = ("results", "launch", "address", "thread")


class Fault(NamedTuple):
    """A planted fault.

    Attributes:
        name: what was done wrong.
        find, put: a text that is once in the source, and what comes in its place.
        caught_by: one of CATCHERS.
    """

    name: str
    find: str
    put: str
    caught_by: str

    def plant(self, file: str, source: str) -> str:
        """The source with the fault; other sources, without the text, as they are."""
        count = source.count(self.find)
        assert count <= 1, f"{self.name}: the text to replace is in {file} {count} times"
        return source.replace(self.find, self.put)


def planted(fault: Fault | None, case: Callable[[], Any]) -> str:
    """What catches the fault when `case` runs: "results", "launch", or "nothing".

    Raises AssertionError where the text to replace is in none of the sources that were used.
    """
    seen = []

    def plant(file: str, source: str) -> str:
        result = fault.plant(file, source) if fault else source
        seen.append(result != source)
        return result

    with installed(plant, alone=True):
        try:
            case()
        except AssertionError:
            found = "results"
        except LaunchError:
            found = "launch"
        else:
            found = "nothing"
    assert fault is None or any(seen), f"{fault.name}: no source that was used has the text"
    return found

"""What a step does besides array calls, and what its calls depend on besides arrays.

Numbers such as the learning rate and the count of steps are read by the host before the calls of a
replay, in the order of the recorded run, together with what changes them. None of it depends on
what arrays hold, so it can all come first.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any


class Constant:
    """A value that was built into the calls.

    Attributes:
        name: what it is, for the message when it has changed.
        read: gives it as it is now.
        value: what it was.
    """

    __slots__ = ("name", "read", "value")

    def __init__(self, name: str, read: Callable[[], Any], value: Any) -> None:
        self.name = name
        self.read = read
        self.value = value


class HostSide:
    """The host's part in a recorded run.

    Attributes:
        before: done before the calls of each replay, in order: reading numbers, and what comes
            ahead of a reading.
        after: done after the calls, if none of them raised.
        constants: what must be as it was for a replay.
        readers: by the id of its array, what reads a live number.
        owners: the objects that actions change, so that their state can be put back.
        early: those of them that a replay changes before the calls, though the function did it
            after some: if a call raises, they are put back.
    """

    def __init__(self) -> None:
        self.before: list[Callable[[], Any]] = []
        self.after: list[Callable[[], Any]] = []
        self.constants: list[Constant] = []
        self.readers: dict[int, Callable[[], Any]] = {}
        self.owners: dict[int, Any] = {}
        self.early: dict[int, Any] = {}
        self._late: list[Any] = []  # the owners of what is in `after`
        self._restores: list[Callable[[], None]] = []

    def add(self, action: Callable[[], Any], owner: Any, reads: bool) -> None:
        """Something to be done in each replay.

        Arguments:
            owner: a bound method of what it changes.
            reads: whether the calls need what it does.
        """
        target = getattr(owner, "__self__", None)
        if target is not None and id(target) not in self.owners:
            self.owners[id(target)] = target
            self._restores.append(_save(target))
        if not reads:
            self.after.append(action)
            self._late.append(target)
            return
        self.before += [*self.after, action]
        self.early |= {id(owner): owner for owner in self._late if owner is not None}
        self.after, self._late = [], []

    def constant(self, name: str, read: Callable[[], Any]) -> Any:
        """A value to be compared before each replay."""
        value = read()
        self.constants.append(Constant(name, read, value))
        return value

    def put_back(self) -> None:
        """Puts back the state that the owners had before the recorded run."""
        for restore in self._restores:
            restore()

    def save(self) -> Callable[[], None]:
        """Remembers the state of all owners; the function returned puts it back."""
        return _save_all(self.owners)

    def save_early(self) -> Callable[[], None]:
        """Remembers the state of those in `early`, likewise."""
        return _save_all(self.early)


def _save_all(owners: dict[int, Any]) -> Callable[[], None]:
    restores = [_save(owner) for owner in owners.values()]

    def restore() -> None:
        for one in restores:
            one()

    return restore


def _save(owner: Any) -> Callable[[], None]:
    if hasattr(owner, "saved_for_replay"):
        restore: Callable[[], None] = owner.saved_for_replay()
        return restore
    state = {
        name: copy(value) if isinstance(value, list | dict) else value
        for name, value in vars(owner).items()
    }
    return lambda: vars(owner).update(state)

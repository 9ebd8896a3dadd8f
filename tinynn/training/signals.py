"""Ctrl-C and SIGTERM, held back until the training step under way is finished."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

__all__ = ["HeldSignals", "TrainingInterrupted"]

HELD = (signal.SIGINT, signal.SIGTERM)


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped from outside, between two steps.

    Attributes: `signal` (SIGINT or SIGTERM), `checkpoint` (where the state was saved, or None).
    """

    def __init__(self, signal_number: int, checkpoint: Path | None) -> None:
        self.signal = signal.Signals(signal_number)
        self.checkpoint = checkpoint
        kept = f"its state is in {checkpoint}" if checkpoint else "its state was not saved"
        super().__init__(f"training was stopped by {self.signal.name}: {kept}")


class HeldSignals:
    """A block in which the first Ctrl-C or SIGTERM only sets `received`; a second one acts at once.

    Does nothing outside the main thread, where Python delivers no signals.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> HeldSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in HELD}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._release()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._release()

    def _release(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            # None stands for a handler that was not installed from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

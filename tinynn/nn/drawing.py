"""Drawing: what modules that draw random numbers have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.backend import recording
from tinynn.backend.random import next_stream
from tinynn.nn.module import Module
from tinynn.ops.creation import tensor

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


class Drawing(Module):
    """A module whose random numbers are those of its stream at its step; both are in its state.

    Attributes:
        stream: which random numbers it draws.
        step: how often it drew some.
    """

    counters = ("step",)

    def draws(self) -> bool:
        """Whether it draws at all; else it takes no stream and has no state."""
        return True

    def start_drawing(self) -> None:
        """Takes a stream of its own."""
        self.stream = next_stream() if self.draws() else 0
        self.step = 0

    def next_numbers(self) -> dict[str, Any]:
        """Which random numbers a call draws, as operations take it."""
        return {"stream": self.stream, "step": recording.live(self._next_step, "int64")}

    def _next_step(self) -> int:
        self.step += 1
        return self.step - 1

    def get_extra_state(self) -> Tensor | None:
        return tensor([self.stream, self.step]) if self.draws() else None

    def set_extra_state(self, state: Tensor) -> None:
        self.stream, self.step = state.tolist()

"""The entry of an operation: OpInfo, and the samples and refusals it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinynn.nn.functional  # noqa: F401 (enters what `import tinynn` leaves out in OPS)
from tests.opinfo.maker import Maker
from tinynn.ops.registry import OPS

FLOATS = ("float64", "float32", "float16")
NUMBERS = (*FLOATS, "int64", "uint8")
ALL = (*NUMBERS, "bool")

# The dtype of a result by the dtype that the inputs promote to.
RESULT_DTYPES: dict[str, Callable[[np.dtype[Any]], str]] = {
    "same": lambda dtype: dtype.name,
    "float": lambda dtype: dtype.name if dtype.kind == "f" else "float32",
    "sum": lambda dtype: dtype.name if dtype.kind == "f" else "int64",
    "int64": lambda dtype: "int64",
    "bool": lambda dtype: "bool",
}


@dataclass(frozen=True)
class Sample:
    """The arguments of one call; tensors are written as NumPy arrays."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = [describe(value) for value in self.args]
        shown += [f"{name}={describe(value)}" for name, value in self.kwargs.items()]
        return f"({', '.join(shown)})"


def sample(*args: Any, **kwargs: Any) -> Sample:
    """The arguments of one call."""
    return Sample(args, kwargs)


@dataclass(frozen=True)
class Refusal:
    """Arguments that must raise `error`, with the operation's name and `says` in the message."""

    error: type[Exception]
    arguments: Sample
    says: str


def refuse(error: type[Exception], *args: Any, says: str = "", **kwargs: Any) -> Refusal:
    """Arguments that must raise `error`; `says` is a regular expression found in the message."""
    return Refusal(error, Sample(args, kwargs), says)


@dataclass(frozen=True)
class OpInfo:
    """What the tests know about one operation.

    Attributes:
        name: its name in OPS.
        samples: make -> the calls to test. It is run again for every dtype, seed and layout.
        reference: an independent NumPy formula with the operation's signature. It gets float64 for
            every float, and returns an array or a tuple of arrays.
        refused: make -> inputs that must raise.
        refuses_nothing: in place of `refused`, why there are none.
        dtypes: those that `make` is run with for comparing values.
        result: the dtype of the result, a key of RESULT_DTYPES; None where only samples tell.
        mixed: whether inputs of two dtypes promote to a common one.
        differentiable: whether its results have gradients.
        twice: whether its gradients have gradients.
        constants: keyword arguments that are float tensors without a gradient.
        torch: the function of the same meaning in torch: a name ("amax", "nn.functional.relu",
            "Tensor.flip"; default: `name` where torch has it), or a function of torch -> function.
        not_in_torch: in place of `torch`, why there is none.
        tolerance: factor on the table of tolerances; needs a reason beside it.
        function: what is called; default OPS[name].
    """

    name: str
    samples: Callable[[Maker], Iterable[Sample]]
    reference: Callable[..., Any]
    refused: Callable[[Maker], Iterable[Refusal]] | None = None
    refuses_nothing: str = ""
    dtypes: tuple[str, ...] = FLOATS
    result: str | None = "same"
    mixed: bool = False
    differentiable: bool = True
    twice: bool = True
    constants: tuple[str, ...] = ()
    torch: str | Callable[[Any], Callable[..., Any]] = ""
    not_in_torch: str = ""
    tolerance: float = 1.0
    function: Callable[..., Any] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return (self.function or OPS[self.name])(*args, **kwargs)

    @property
    def usual_dtype(self) -> str:
        """The dtype of tests that need one: float32, unless the operation refuses it."""
        return "float32" if "float32" in self.dtypes else self.dtypes[0]

    def in_torch(self, torch: Any) -> Callable[..., Any]:
        """The function of the same meaning in torch."""
        if callable(self.torch):
            return self.torch(torch)
        if not self.torch:
            home = torch if hasattr(torch, self.name) else torch.nn.functional
            return getattr(home, self.name)  # type: ignore[no-any-return]
        found = torch
        for part in self.torch.split("."):
            found = getattr(found, part)
        return found  # type: ignore[no-any-return]


def describe(value: Any) -> str:
    """An argument as a failing test shows it."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)} strides {list(value.strides)}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(describe(item) for item in value)}]"
    return repr(value)

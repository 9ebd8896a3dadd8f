"""`tn.compile`: a function that is recorded once for each kind of arguments, and replayed."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from functools import update_wrapper
from types import MethodType
from typing import Any

import numpy as np

from tinynn.autograd.grad_mode import grad_mode
from tinynn.autograd.tensor import Tensor
from tinynn.backend import recording
from tinynn.backend.devices import BACKENDS
from tinynn.backend.threads import get_num_threads
from tinynn.capture.checking import compare_with_eager
from tinynn.capture.errors import CaptureError, CaptureWarning
from tinynn.capture.guards import Guards
from tinynn.capture.outputs import PendingBackward
from tinynn.capture.plan import Plan
from tinynn.capture.recording import record
from tinynn.nn.module import Module

MOST_PLANS = 16
_lock = threading.RLock()


def compile(
    fn: Callable[..., Any] | None = None, *, fuse: bool = True, check_every: int | None = None
) -> Any:
    """A function that records what `fn` does to arrays, and later only repeats that.

    `fn` is an ordinary training step (forward, backward, optimizer, metrics), or a model to be run
    under `tn.no_grad()`. The first call with tensors of certain shapes and dtypes runs it as it is.
    What it computed becomes a Plan: a list of bare calls on memory that is laid out once. Later
    calls replay the plan: no tape, no allocation, next to no Python. Learning rates, counts of
    steps and random numbers go on as they would.

    A plan is used as long as all that the function's code looks at is as it was: shapes, dtypes,
    and values among the arguments, variables of its closure and globals, numbers kept by modules,
    train or eval mode, which tensors require gradients. Else another is recorded.

    What only Python sees happens when a plan is recorded and not in replays: printing, reading a
    file, drawing from a generator of one's own, a change of `tensor.data` or of NumPy arrays
    without tinynn's operations. A function that changes a variable it reads, such as a counter or a
    list, fits no plan: it is recorded anew, and after a warning runs as it is. Reading a value
    (`.item()`, `if tensor:`) is an error while recording: return the tensor. An argument that does
    not lie in order in memory is read as its `.contiguous()` copy.

    Arguments:
        fn: a function, method or Module; without it, a decorator is returned.
        fuse: a linear layer and an activation behind it become one operation, if nobody else reads
            what goes in between (found in a first run, so that the function runs twice). Results
            may then differ in rounding; without, they are those of the function, bit for bit.
        check_every: every so many calls the function itself is run as well, from the same state,
            and CaptureError is raised if results, parameters or gradients differ (where operations
            were joined, by more than rounding): a way to find what a recorder cannot see.

    Returns a function with the attributes `plans`, `plan` (the one used last) and `fn`.

    Raises CaptureError, from the call, for what cannot be recorded; then nothing has been changed.

    >>> import tinynn as tn
    >>> model = tn.nn.Linear(1, 1)
    >>> optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
    >>> @tn.compile
    ... def step(x, y):
    ...     loss = ((model(x) - y) ** 2).mean()
    ...     loss.backward()
    ...     optimizer.step()
    ...     optimizer.zero_grad()
    ...     return loss
    >>> x = tn.tensor([[0.0], [1.0], [2.0]])
    >>> losses = [step(x, 2 * x + 1).item() for _ in range(200)]
    >>> round(losses[-1], 4), len(step.plans)
    (0.0, 1)
    """
    if fn is None:
        return lambda function: Compiled(function, fuse, check_every)
    return Compiled(fn, fuse, check_every)


class Compiled:
    """What `tn.compile` returns.

    Attributes:
        fn: the function itself.
        plans: all plans so far.
        plan: the one that was used last, or None.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        fuse: bool = True,
        check_every: int | None = None,
        most_plans: int = MOST_PLANS,
    ) -> None:
        if not callable(fn):
            raise TypeError(f"compile: expected a function or a module, got {type(fn).__name__}")
        if check_every is not None and check_every < 1:
            raise ValueError(f"compile: check_every must be at least 1, got {check_every}")
        self.fn = fn
        self.fuse = fuse
        self.check_every = check_every
        self.most_plans = most_plans
        self.plan: Plan | None = None
        self.calls = 0
        self._entries: dict[Any, list[tuple[Guards, Plan]]] = {}
        self._reasons: list[str] = []
        self._is_full = False
        if not isinstance(fn, Module):
            update_wrapper(self, fn)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Of a compiled method, that of an object: it has plans of its own, and lives as long."""
        if instance is None:
            return self
        bound = Compiled(
            MethodType(self.fn, instance), self.fuse, self.check_every, self.most_plans
        )
        vars(instance)[self._name] = bound  # found there from now on
        return bound

    @property
    def plans(self) -> list[Plan]:
        """All plans so far."""
        return [plan for entries in self._entries.values() for _, plan in entries]

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        tensors: list[Tensor] = []
        key = (
            grad_mode.enabled,
            get_num_threads(),
            _key_of(arguments, tensors),
            _key_of(keywords, tensors) if keywords else None,
        )
        arrays = [tensor.data for tensor in tensors]
        self.calls += 1
        reason = None
        for guards, plan in self._entries.get(key, ()):
            reason = guards.changed()
            if reason is None:
                self.plan = plan
                if self.check_every is not None and self.calls % self.check_every == 0:
                    return compare_with_eager(plan, arrays, self.fn, arguments, keywords)
                result = plan.replay(arrays)
                for position in plan.changed_arguments:
                    tensors[position].bump_version()
                return result
        if self._is_full:
            return self.fn(*arguments, **keywords)
        timed = recording.timed(f"recording of {self._name}", self._record)
        return timed(key, arrays, arguments, keywords, reason)

    def _record(
        self,
        key: Any,
        arrays: list[Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        reason: str | None,
    ) -> Any:
        """Runs the function, and keeps the plan of what it did."""
        if reason is not None or len(self._entries) > self.most_plans // 2:
            self._reasons.append(reason or "the shapes or values of the arguments")
        if len(self.plans) >= self.most_plans:
            self._give_up()
            return self.fn(*arguments, **keywords)
        backend = BACKENDS[type(arrays[0])] if arrays else BACKENDS[np.ndarray]
        guards = Guards(self.fn, arguments, keywords)
        with _lock:
            try:
                recorded = record(self.fn, backend, arguments, keywords, self.fuse, guards)
            except PendingBackward:
                if isinstance(self.fn, Module):  # called for training, as a part of a step
                    return self.fn(*arguments, **keywords)
                raise
        guards.complete(recorded.recorder)
        plan = recorded.make_plan()
        self._entries.setdefault(key, []).append((guards, plan))
        self.plan = plan
        return recorded.result

    def _give_up(self) -> None:
        self._is_full = True
        often = max(set(self._reasons), key=self._reasons.count, default="its arguments")
        warnings.warn(
            f"compile: {self._name} has been recorded {self.most_plans} times, and {often} keeps "
            "changing; other calls run without a plan. Pass what changes as a tensor",
            CaptureWarning,
            stacklevel=4,
        )

    @property
    def _name(self) -> str:
        name: str = getattr(self.fn, "__name__", type(self.fn).__name__)
        return name

    def __repr__(self) -> str:
        return f"<compiled {self.fn!r} with {len(self.plans)} plans>"


def _key_of(value: Any, tensors: list[Tensor]) -> Any:
    """What plans are told apart by: structure, shapes, dtypes, values; tensors are collected."""
    if isinstance(value, Tensor):
        if value.node is not None:
            raise CaptureError(
                f"compile: an argument of shape {value.shape} requires grad; pass it detached, or "
                "let the function refer to it"
            )
        array = value.data
        tensors.append(value)
        return type(array), array.shape, array.dtype
    if type(value) in (tuple, list):
        return type(value), *[_key_of(item, tensors) for item in value]
    if type(value) is dict:
        return dict, *[(key, _key_of(item, tensors)) for key, item in value.items()]
    if isinstance(value, Module):
        return Module, value
    if type(value) is float:
        return float, value.hex()  # tells 0.0 from -0.0
    try:
        hash(value)
    except TypeError:
        raise CaptureError(
            f"compile: an argument is a {type(value).__name__}, whose changes would go unseen; "
            "pass tensors, numbers, strings, and lists, tuples or dicts of them"
        ) from None
    return type(value), value

"""How a kernel is compiled, and when it runs on several threads.

A kernel is one Python function with a `prange` loop, compiled twice when needed: a serial twin,
which releases Python's lock and can be called from any thread, and a parallel twin for large work.
Both add in the same order, so that results do not depend on the number of threads.

Parallel twins run one at a time: a call that finds another one running uses the serial twin. So
loader threads never wait, and OpenMP, which keeps a pool of threads for every thread that calls it,
never has two pools at work.
"""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numba
from numba import njit

from tinynn.kernels.cpu.compile_cache import cache_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Multiplication and addition may be contracted to one rounding. Nothing else is relaxed: NaN and
# infinity keep their meaning, and sums are reordered only where a kernel asks for it.
CONTRACT = {"contract"}
# A sum may be reordered, so that it is vectorised.
REORDER = {"contract", "reassoc"}

if numba.config.DISABLE_JIT:  # what the kernels are made of cannot run as Python
    raise ImportError("NUMBA_DISABLE_JIT is set")

# Who is handed the calls of compiled functions, while a step is being recorded.
observer: Callable[..., Any] | None = None

_turn = threading.Lock()
_threads = 1
_layer: str | None = None


def jit(
    function: Callable[..., Any], *, parallel: bool = False, fastmath: set[str] = CONTRACT
) -> Any:
    """The function compiled at its first call, for the types that it is called with."""
    dispatcher = njit(nogil=True, error_model="numpy", fastmath=fastmath, parallel=parallel)(
        function
    )
    cache = cache_for(function, "parallel" if parallel else "serial")
    if cache is not None:
        dispatcher._cache = cache
    return dispatcher


class Twins:
    """A kernel compiled with one thread and, for work of at least `grain`, with several.

    The function is called as `twins(work, *arguments)`; `work` is what `grain` is counted in
    (usually elements). A launch costs some 20 us, and `grain` is 50 to 100 us of work.

    Attributes:
        writes: the positions of the arguments that it writes.
        refuse: or None; called as refuse(place, *arguments) where the function returns the place
            of a bad value, to raise what is to be said of it. Else the function returns -1.
    """

    __slots__ = ("_parallel", "function", "grain", "refuse", "serial", "writes")

    def __init__(
        self,
        function: Callable[..., Any],
        grain: int,
        writes: Sequence[str] = (),
        refuse: Callable[..., None] | None = None,
    ) -> None:
        self.function = function
        self.grain = grain
        parameters = function.__code__.co_varnames[: function.__code__.co_argcount]
        self.writes = tuple(parameters.index(name) for name in writes)
        self.refuse = refuse
        self.serial = jit(function)
        self._parallel: Any = None

    def __call__(self, work: int, *arguments: Any) -> Any:
        if observer is not None:
            return observer(self, work, arguments)
        if self.refuse is None and (work < self.grain or _threads == 1):
            return self.serial(*arguments)  # at once, for where work is small a call's time counts
        return self.run(work, *arguments)

    def run(self, work: int, *arguments: Any) -> None:
        """The call itself, unseen by an observer."""
        place = self._run(work, *arguments)
        if self.refuse is not None and place >= 0:
            self.refuse(place, *arguments)

    def bind(self, work: int, *arguments: Any) -> Callable[[], Any]:
        """The call with these very arguments, to be made again and again: a serial one goes
        straight to the compiled code, without a look at the arguments' types."""
        if work >= self.grain and _threads > 1:
            return partial(self.run, work, *arguments)
        types = tuple(map(numba.typeof, arguments))
        self.serial.compile(types)
        compiled = self.serial.overloads[types].entry_point
        if self.refuse is None:
            return partial(compiled, *arguments)
        return partial(_call_and_check, compiled, self.refuse, *arguments)

    def _run(self, work: int, *arguments: Any) -> Any:
        if work < self.grain or _threads == 1 or not _turn.acquire(blocking=False):
            return self.serial(*arguments)
        try:
            if not _ready():
                return self.serial(*arguments)
            if self._parallel is None:
                self._parallel = jit(self.function, parallel=True)
            return self._parallel(*arguments)
        finally:
            _turn.release()


def _call_and_check(
    compiled: Callable[..., int], refuse: Callable[..., None], *arguments: Any
) -> None:
    place = compiled(*arguments)
    if place >= 0:
        refuse(place, *arguments)


def twins(
    grain: int, *writes: str, refuse: Callable[..., None] | None = None
) -> Callable[[Callable[..., Any]], Twins]:
    """Decorates a kernel's inner function, naming the arguments that it writes; see Twins."""
    return lambda function: Twins(function, grain, writes, refuse)


def set_num_threads(number: int) -> None:
    """Sets how many threads a parallel twin may use; 1 keeps to the serial ones."""
    global _threads
    _threads = number


def get_num_threads() -> int:
    """How many threads a parallel twin may use."""
    return _threads


def threading_layer() -> str:
    """What runs parallel twins: "omp", "tbb", or "serial" where neither can be loaded."""
    global _layer
    if _layer is None:
        _layer = _load_layer()
    return _layer


def _ready() -> bool:
    if threading_layer() == "serial":
        return False
    # Numba keeps this number for each calling thread.
    numba.set_num_threads(min(_threads, numba.config.NUMBA_NUM_THREADS))
    return True


def _load_layer() -> str:
    """Loads OpenMP or TBB; never Numba's workqueue, which ends the process on concurrent calls."""
    wanted = numba.config.THREADING_LAYER
    if wanted == "default":
        numba.config.THREADING_LAYER = "threadsafe"
    # OpenMP reads this when it is loaded. Its threads would else spin while they wait, and where
    # the processors are busy (matrix products, loaders) one launch then costs milliseconds.
    policy = os.environ.get("OMP_WAIT_POLICY")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        numba.get_num_threads()  # loads the layer
        layer = numba.threading_layer()
    except ValueError:
        return "serial"
    finally:
        numba.config.THREADING_LAYER = wanted
        if policy is None:
            del os.environ["OMP_WAIT_POLICY"]
    return "serial" if layer == "workqueue" else layer


def _forget_threads() -> None:
    """After a fork the pool's threads are gone and OpenMP ends the process that calls it."""
    global _layer, _turn
    _layer = "serial"
    _turn = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)

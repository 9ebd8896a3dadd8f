"""The seed, and what follows from it: initial values, and streams of counter-based numbers.

Initial values are drawn on the host, the same on every device. Random numbers on a device (dropout)
are Philox: functions of (seed, stream, step, sample, element), so that they do not depend on how
often, in which batches or where they were drawn; a stream is a number that a module gets when it is
made.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_DEFAULT_SEED = 0

_seed = _DEFAULT_SEED
_streams = 0
_generator: np.random.Generator | None = None


def manual_seed(seed: int) -> None:
    """Sets the seed of everything random from here on.

    seed: 0 to 2**64 - 1; ValueError otherwise. Without a call the seed is 0.

    >>> import tinynn as tn
    >>> tn.manual_seed(1)
    >>> first = host_generator().standard_normal()
    >>> tn.manual_seed(1)
    >>> bool(host_generator().standard_normal() == first)
    True
    """
    global _seed, _streams, _generator
    if not 0 <= operator.index(seed) < 1 << 64:
        raise ValueError(f"manual_seed: got {seed}, expected 0 to 2**64 - 1")
    _seed, _streams, _generator = operator.index(seed), 0, None


def initial_seed() -> int:
    """The seed in use."""
    return _seed


def host_generator() -> np.random.Generator:
    """The generator of initial values: NumPy's, on the host, for every device."""
    global _generator
    if _generator is None:
        import numpy as np

        _generator = np.random.Generator(np.random.PCG64(_seed))
    return _generator


def next_stream() -> int:
    """A stream of random numbers that no other module of this seed has: 0, 1, 2, ..."""
    global _streams
    _streams += 1
    return _streams - 1


def get_rng_state() -> dict[str, Any]:
    """The random state as numbers and strings, to be kept with a checkpoint as JSON."""
    generator = None if _generator is None else host_generator().bit_generator.state
    return {"seed": _seed, "streams": _streams, "generator": generator}


def set_rng_state(state: dict[str, Any]) -> None:
    """Goes back to a state that `get_rng_state` gave.

    Raises ValueError, and changes nothing, where the state is not such a one.

    >>> state = get_rng_state()
    >>> first = host_generator().random()
    >>> set_rng_state(state)
    >>> bool(host_generator().random() == first)
    True
    """
    global _seed, _streams, _generator
    import numpy as np

    try:
        seed, streams = operator.index(state["seed"]), operator.index(state["streams"])
        if not (0 <= seed < 1 << 64 and streams >= 0):
            raise ValueError("seed or streams out of range")
        generator = None
        if state["generator"] is not None:
            generator = np.random.Generator(np.random.PCG64(seed))
            generator.bit_generator.state = state["generator"]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"set_rng_state: not a random state ({error!r})") from None
    _seed, _streams, _generator = seed, streams, generator

"""RotaryEmbedding: positions as angles, with the scalings that let models read longer texts.

Every scaling is a small function in a table, by the name that Hugging Face's `rope_scaling` has for
it. It gives the frequencies, in radians a position, of the pairs of numbers in a vector.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinynn.autograd import Tensor
from tinynn.backend import recording
from tinynn.backend.devices import Device
from tinynn.nn import functional as F
from tinynn.nn.module import Module
from tinynn.ops.creation import tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Array = np.ndarray[Any, Any]
    Options = Mapping[str, Any]


class Rotation(NamedTuple):
    """What a scaling is told: R numbers of a vector are turned, at positions below a number."""

    rotary_dim: int
    base: float
    max_positions: int


def frequencies_of(rotary_dim: int, base: float) -> Array:
    """base ** (-2 i / R) of pair i (https://arxiv.org/abs/2104.09864), in float64."""
    exponents: Array = np.arange(0, rotary_dim, 2, dtype=np.float64) / rotary_dim
    return base**-exponents


def _default(rotation: Rotation, options: Options) -> Array:
    return frequencies_of(rotation.rotary_dim, rotation.base)


def _linear(rotation: Rotation, options: Options) -> Array:
    """Positions are divided by `factor` (https://arxiv.org/abs/2306.15595)."""
    divided: Array = frequencies_of(rotation.rotary_dim, rotation.base) / options["factor"]
    return divided


def _ntk(rotation: Rotation, options: Options) -> Array:
    """The base grows so that the slowest pair is turned `factor` times more slowly, and the fastest
    as before: base * factor ** (R / (R - 2)). Known as NTK-aware scaling, from
    https://www.reddit.com/r/LocalLLaMA/comments/14lz7j5
    """
    grown = _grown(rotation, options["factor"])
    return frequencies_of(rotation.rotary_dim, grown)


def _dynamic(rotation: Rotation, options: Options) -> Array:
    """NTK-aware scaling by as much as a text of n positions needs, for a model that was trained on
    m of them: base * (factor * n / m - (factor - 1)) ** (R / (R - 2)), and the base itself for n up
    to m. Hugging Face's "dynamic". Keys that are kept cannot be turned anew for each length, so n
    is `max_positions`.
    """
    longer = rotation.max_positions / options["original_max_position_embeddings"]
    factor = options["factor"]
    grown = _grown(rotation, max(factor * longer - (factor - 1), 1.0))
    return frequencies_of(rotation.rotary_dim, grown)


def _llama3(rotation: Rotation, options: Options) -> Array:
    """Pairs that turn slowly are slowed down by `factor`, those that turn fast are left alone, and
    between them the two are mixed; how fast is told by how often a pair turns round within the
    original length. Llama 3.1's (https://arxiv.org/abs/2407.21783, and its reference code).
    """
    frequencies = frequencies_of(rotation.rotary_dim, rotation.base)
    turns = options["original_max_position_embeddings"] * frequencies / (2 * math.pi)
    low, high = options["low_freq_factor"], options["high_freq_factor"]
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    mixed: Array = kept * frequencies + (1 - kept) * frequencies / options["factor"]
    return mixed


def _factors(rotation: Rotation, options: Options) -> Array:
    """The frequency of each pair is divided by a factor of its own, as GGUF files have them in
    `rope_freqs.weight`."""
    factors, pairs = options["factors"], rotation.rotary_dim // 2
    if not isinstance(factors, (list, tuple)) or len(factors) != pairs:
        raise ValueError(
            f"RotaryEmbedding: scaling 'factors' has factors {factors!r:.60}, expected a list of "
            f"{pairs} numbers, one for each pair"
        )
    return frequencies_of(rotation.rotary_dim, rotation.base) / np.array(factors, np.float64)


def _grown(rotation: Rotation, factor: float) -> float:
    dim = rotation.rotary_dim
    if dim <= 2:  # there is no other pair that could stay as it was
        raise ValueError(f"RotaryEmbedding: a change of base needs two pairs, {dim} numbers turn")
    return rotation.base * float(factor ** (dim / (dim - 2)))


# Name -> (the frequencies, the options it needs).
SCALINGS: dict[str, tuple[Callable[[Rotation, Options], Array], tuple[str, ...]]] = {
    "default": (_default, ()),
    "linear": (_linear, ("factor",)),
    "ntk": (_ntk, ("factor",)),
    "dynamic": (_dynamic, ("factor", "original_max_position_embeddings")),
    "llama3": (
        _llama3,
        ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    ),
    "factors": (_factors, ("factors",)),
}


class RotaryEmbedding(Module):
    """Turns the pairs of numbers in a vector by angles in proportion to its position.

    The product of a turned query with a turned key depends on how far apart they are, not on where
    (https://arxiv.org/abs/2104.09864). The tables of cosines and sines are computed in float64 on
    the host and kept in float32, whatever the dtype of the model: they have no place in its state.

    Arguments:
        head_dim: D, the size of a vector.
        base: pair i turns by base ** (-2 i / R) a position.
        max_positions: positions are 0 to max_positions - 1.
        scaling: as in a model's config.json, such as {"rope_type": "linear", "factor": 4.0}; the
            names are those of SCALINGS. None for no scaling.
        interleaved: pair i is (2 i, 2 i + 1), as in Meta's checkpoints and in GGUF files; else
            (i, i + R / 2), as in Hugging Face's.
        rotary_dim: R, how many numbers of a vector are turned, the others staying as they are; None
            for all.

    Raises ValueError for sizes that do not fit and for a scaling that is not complete.

    >>> import tinynn as tn
    >>> rotary = tn.nn.RotaryEmbedding(2, base=1.0)
    >>> rotary(tn.tensor([[1.0, 0.0], [1.0, 0.0]]))
    tensor([[1.0000, 0.0000],
            [0.5403, 0.8415]])
    """

    def __init__(
        self,
        head_dim: int,
        base: float = 10000.0,
        max_positions: int = 2048,
        scaling: Mapping[str, Any] | None = None,
        interleaved: bool = False,
        *,
        rotary_dim: int | None = None,
    ) -> None:
        rotary_dim = head_dim if rotary_dim is None else rotary_dim
        if rotary_dim % 2 or not 0 < rotary_dim <= head_dim:
            raise ValueError(
                f"RotaryEmbedding: pairs are turned, so that rotary_dim (by default head_dim) must "
                f"be even and at most head_dim; got {rotary_dim} of {head_dim}"
            )
        if not base > 0 or max_positions < 1:
            raise ValueError(
                f"RotaryEmbedding: base and max_positions must be positive, got {base} and "
                f"{max_positions}"
            )
        self.head_dim = head_dim
        self.rotary_dim = rotary_dim
        self.base = base
        self.max_positions = max_positions
        self.interleaved = interleaved
        self.scaling, self.frequencies = _scaled(
            Rotation(rotary_dim, base, max_positions), scaling or {"rope_type": "default"}
        )
        angles = np.outer(np.arange(max_positions, dtype=np.float64), self.frequencies)
        pair = (tensor(table.astype(np.float32)) for table in (np.cos(angles), np.sin(angles)))
        self._by_device = {"cpu": tuple(pair)}

    def forward(self, input: Tensor, positions: Any = None) -> Tensor:
        """The vectors (..., L, head_dim), turned.

        Arguments:
            positions: integers (L,), or of any shape that broadcasts to the input's leading
                dimensions; None for 0, 1, 2 ...

        Raises IndexError for a position beyond the tables.
        """
        if input.shape[-1:] != (self.head_dim,):
            raise RuntimeError(
                f"RotaryEmbedding: input must be (..., L, {self.head_dim}), its shape is "
                f"{input.shape}"
            )
        if positions is None and input.ndim > 1:
            self._check_length(input.shape[-2])
            cos, sin = (table[: input.shape[-2]] for table in self._tables(input.device))
        else:
            cos, sin = self.tables(0 if positions is None else positions, input.device)
        return F.rope(input, cos, sin, self.interleaved)

    def tables(self, positions: Any, device: Any = None) -> tuple[Tensor, Tensor]:
        """cos and sin of each pair's angle: (*shape of the positions, rotary_dim / 2), float32.

        Arguments:
            positions: integers: a tensor, or what `tn.tensor` takes.
            device: of the result; None for the tensor's own, or the host.

        Raises IndexError for a position beyond the tables.
        """
        if not isinstance(positions, Tensor):
            positions = tensor(positions, device=device)
        recording.checked(self._check_positions, positions.data)
        cos, sin = self._tables(positions.device)
        return cos[positions], sin[positions]

    def _tables(self, device: Device) -> tuple[Tensor, ...]:
        name = str(device)
        if name not in self._by_device:
            self._by_device[name] = tuple(t.to(device) for t in self._by_device["cpu"])
        return self._by_device[name]

    def _check_length(self, length: int) -> None:
        if length > self.max_positions:
            raise IndexError(
                f"RotaryEmbedding: {length} positions are more than max_positions, "
                f"{self.max_positions}"
            )

    def _check_positions(self, positions: Any) -> None:
        if positions.dtype.kind not in "iu":
            raise RuntimeError(
                f"RotaryEmbedding: positions must be integers, got {positions.dtype}"
            )
        if not positions.size:
            return
        first, last = int(positions.min()), int(positions.max())
        if first < 0 or last >= self.max_positions:
            raise IndexError(
                f"RotaryEmbedding: position {first if first < 0 else last} is not one of 0 to "
                f"max_positions - 1, {self.max_positions - 1}"
            )

    def extra_repr(self) -> str:
        scaled = "" if self.scaling["rope_type"] == "default" else f", scaling={self.scaling}"
        part = "" if self.rotary_dim == self.head_dim else f", rotary_dim={self.rotary_dim}"
        return (
            f"{self.head_dim}, base={self.base}, max_positions={self.max_positions}{scaled}, "
            f"interleaved={self.interleaved}{part}"
        )


def _scaled(rotation: Rotation, scaling: Mapping[str, Any]) -> tuple[dict[str, Any], Array]:
    """(the scaling with its name under "rope_type", the frequencies); raises what is wrong."""
    options = dict(scaling)
    name = options.pop("rope_type", options.pop("type", None))
    if name not in SCALINGS:
        raise ValueError(
            f"RotaryEmbedding: scaling has rope_type {name!r}; known are {', '.join(SCALINGS)}"
        )
    function, needed = SCALINGS[name]
    for problem, keys in (
        ("lacks", set(needed) - set(options)),
        ("does not know", set(options) - set(needed)),
    ):
        if keys:
            raise ValueError(
                f"RotaryEmbedding: scaling {name!r} {problem} {', '.join(sorted(keys))}; it needs "
                f"{', '.join(needed) or 'nothing'}"
            )
    for key, value in options.items():
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:
                raise ValueError(
                    f"RotaryEmbedding: scaling {name!r} has {key} {number!r}, expected a number "
                    "above 0"
                )
    if options.get("factor", 1.0) < 1:
        raise ValueError(
            f"RotaryEmbedding: scaling {name!r} has factor {options['factor']}, expected 1 or more"
        )
    if name == "llama3" and options["low_freq_factor"] >= options["high_freq_factor"]:
        raise ValueError(
            f"RotaryEmbedding: scaling 'llama3' has low_freq_factor {options['low_freq_factor']}, "
            f"which must be below high_freq_factor {options['high_freq_factor']}"
        )
    return {"rope_type": name, **options}, function(rotation, options)

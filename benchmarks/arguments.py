"""The arguments that each operation is timed with, and what it is called in PyTorch."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinynn.ops.paged import PagedKV

Array = np.ndarray[Any, Any]


class Call(NamedTuple):
    """The arguments of one call, NumPy arrays in place of tensors."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def convert(self, tensor: Callable[[Array], Any]) -> Call:
        """The same call with a tensor in place of every array."""

        def converted(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                return tensor(value)
            if isinstance(value, list):
                return [converted(item) for item in value]
            if isinstance(value, PagedKV):  # of arrays
                return PagedKV(*(None if a is None else tensor(a).data for a in value))
            if isinstance(value, tuple) and any(isinstance(item, np.ndarray) for item in value):
                return tuple(converted(item) for item in value)
            return value

        kwargs = {name: converted(value) for name, value in self.kwargs.items()}
        return Call(tuple(map(converted, self.args)), kwargs)


def call(*args: Any, **kwargs: Any) -> Call:
    """The arguments of one call."""
    return Call(args, kwargs)


class Arrays:
    """Makes random float32 arrays of one size, as vectors [size] or as matrices [rows, columns].

    Every function is smooth and finite on the numbers between 0.5 and 1.5; where both signs make
    sense, numbers are `signed`, from -1.5 to 1.5.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows = 2 ** ((size.bit_length() - 1) // 2)
        self.columns = size // self.rows
        self.random = np.random.default_rng(0)

    def floats(self, *shape: int, low: float = 0.5) -> Array:
        return self.random.uniform(low, 1.5, shape).astype(np.float32)

    def vector(self) -> Array:
        return self.floats(self.size)

    def signed(self) -> Array:
        return self.floats(self.size, low=-1.5)

    def matrix(self) -> Array:
        return self.floats(self.rows, self.columns, low=-1.5)

    def mask(self) -> Array:
        return self.random.random(self.size) < 0.5

    def integers(self) -> Array:
        return self.random.integers(1, 100, self.size)

    def places(self, *shape: int, below: int) -> Array:
        return self.random.integers(0, below, shape)

    def cache(self, length: int) -> PagedKV:
        """Keys and values of a head of 32 numbers, in blocks of 16."""
        blocks = -(-length // 16)
        keys, values = (self.floats(blocks, 1, 16, 32, low=-1.5) for _ in range(2))
        table = np.arange(blocks, dtype=np.int32)[None]
        return PagedKV(keys, values, None, None, table, np.array([length], np.int32))


def each(names: str, arguments: Callable[[Arrays], Call]) -> dict[str, Callable[[Arrays], Call]]:
    """The same arguments for several operations."""
    return dict.fromkeys(names.split(), arguments)


ARGUMENTS: dict[str, Callable[[Arrays], Call]] = {
    **each("exp expm1 log log1p sqrt rsqrt reciprocal", lambda make: call(make.vector())),
    **each("neg square sin cos tanh erf abs sign", lambda make: call(make.signed())),
    **each("floor ceil round isnan isinf isfinite", lambda make: call(make.signed())),
    **each("relu leaky_relu elu sigmoid gelu silu softplus", lambda make: call(make.signed())),
    **each("clone nonzero", lambda make: call(make.signed())),
    **each("add sub mul div pow", lambda make: call(make.vector(), make.vector())),
    **each("floor_divide remainder", lambda make: call(make.vector(), make.vector())),
    **each("eq ne lt le gt ge", lambda make: call(make.vector(), make.vector())),
    **each("maximum minimum", lambda make: call(make.vector(), make.vector())),
    **each("logical_and logical_or logical_xor", lambda make: call(make.mask(), make.mask())),
    "logical_not": lambda make: call(make.mask()),
    **each(
        "bitwise_and bitwise_or bitwise_xor", lambda make: call(make.integers(), make.integers())
    ),
    "bitwise_not": lambda make: call(make.integers()),
    **each("clamp clip", lambda make: call(make.signed(), -1.0, 1.0)),
    "where": lambda make: call(make.mask(), make.signed(), make.signed()),
    "masked_fill": lambda make: call(make.signed(), make.mask(), 0.0),
    "to": lambda make: call(make.vector(), dtype="float64"),
    # Reductions, along rows.
    **each("sum mean var std logsumexp amax amin", lambda make: call(make.matrix(), dim=1)),
    **each("max min argmax argmin cumsum prod", lambda make: call(make.matrix(), dim=1)),
    **each("softmax log_softmax", lambda make: call(make.matrix(), dim=1)),
    **each("all any", lambda make: call(make.matrix() > 0, dim=1)),
    # Shapes.
    **each("reshape view", lambda make: call(make.vector(), (make.rows, -1))),
    **each("expand broadcast_to", lambda make: call(make.vector(), (2, make.size))),
    "flatten": lambda make: call(make.matrix()),
    "permute": lambda make: call(make.matrix(), (1, 0)),
    **each("transpose movedim", lambda make: call(make.matrix(), 0, 1)),
    "squeeze": lambda make: call(make.floats(1, make.size), 0),
    "unsqueeze": lambda make: call(make.vector(), 0),
    "flip": lambda make: call(make.matrix(), (1,)),
    "roll": lambda make: call(make.matrix(), 1, 1),
    "pad": lambda make: call(make.matrix(), (1, 1)),
    **each("tril triu", lambda make: call(make.matrix())),
    **each("split chunk", lambda make: call(make.matrix(), 2, dim=1)),
    "unbind": lambda make: call(make.matrix()),
    **each("cat concat stack", lambda make: call([make.matrix(), make.matrix()], dim=1)),
    # Elements by their places.
    "getitem": lambda make: call(make.matrix(), (slice(None), slice(0, 2))),
    "index_select": lambda make: call(make.matrix(), 0, make.places(make.rows, below=make.rows)),
    "take_along_dim": lambda make: call(
        make.matrix(), make.places(make.rows, make.columns, below=make.columns), dim=1
    ),
    "gather": lambda make: call(
        make.matrix(), 1, make.places(make.rows, make.columns, below=make.columns)
    ),
    "index_add": lambda make: call(
        make.matrix(), 0, make.places(make.rows, below=make.rows), make.matrix()
    ),
    "scatter_add": lambda make: call(
        make.matrix(), 1, make.places(make.rows, make.columns, below=make.columns), make.matrix()
    ),
    "embedding": lambda make: call(make.places(make.rows, below=make.rows), make.matrix()),
    # Products.
    "matmul": lambda make: call(make.matrix(), make.floats(make.columns, make.rows)),
    "outer": lambda make: call(make.floats(make.rows), make.floats(make.columns)),
    "einsum": lambda make: call("ij,kj->ik", make.matrix(), make.matrix()),
    **each(
        "linear linear_activation",
        lambda make: call(
            make.matrix(),
            make.floats(make.columns, make.columns, low=-0.5),
            make.floats(make.columns),
        ),
    ),
    "gated_activation": lambda make: call(make.signed().reshape(1, -1)),
    # Images of one channel.
    "conv2d": lambda make: call(
        make.floats(1, 1, make.rows, make.columns), make.floats(1, 1, 3, 3), padding=1
    ),
    "max_pool2d": lambda make: call(make.floats(1, 1, make.rows, make.columns), 2),
    # Layers and losses.
    "dropout": lambda make: call(make.vector()),
    "layer_norm": lambda make: call(
        make.matrix(), (make.columns,), make.floats(make.columns), make.floats(make.columns)
    ),
    "rms_norm": lambda make: call(make.matrix(), (make.columns,), make.floats(make.columns)),
    # As many queries as keys, of one head.
    "scaled_dot_product_attention": lambda make: call(*(make.matrix() for _ in range(3))),
    # One token of one head, and as many keys as make the size.
    "decode_attention": lambda make: call(make.floats(1, 1, 32), make.cache(make.size // 32)),
    "merge_attention": lambda make: call(
        [(make.matrix(), make.floats(make.rows)), (make.matrix(), make.floats(make.rows))]
    ),
    # Any numbers do for cosines and sines: they are multiplied by.
    "rope": lambda make: call(
        make.matrix(), *(make.floats(make.rows, make.columns // 2, low=-1.5) for _ in range(2))
    ),
    **each(
        "cross_entropy nll_loss",
        lambda make: call(make.matrix(), make.places(make.rows, below=make.columns)),
    ),
    "mse_loss": lambda make: call(make.vector(), make.vector()),
    "binary_cross_entropy_with_logits": lambda make: call(make.signed(), make.vector()),
}


def arguments_of(name: str, size: int) -> Call:
    """The arguments to time an operation with, at about `size` elements."""
    return ARGUMENTS[name](Arrays(size))


# Operations whose counterpart is neither in torch.nn.functional nor in torch under the same name.
IN_TORCH: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "getitem": lambda torch: operator.getitem,
    "to": lambda torch: lambda input, dtype: input.to(getattr(torch, dtype)),
    "view": lambda torch: torch.Tensor.view,
    "expand": lambda torch: torch.Tensor.expand,
    "linear_activation": lambda torch: (
        lambda *arguments: torch.relu(torch.nn.functional.linear(*arguments))
    ),
    "gated_activation": lambda torch: partial(_gated_in_torch, torch),
    "rope": lambda torch: partial(_rope_in_torch, torch),
    "decode_attention": lambda torch: partial(_decode_in_torch, torch),
    "merge_attention": lambda torch: partial(_merge_in_torch, torch),
}


def _gated_in_torch(torch: Any, input: Any) -> Any:
    gate, up = input.chunk(2, dim=-1)
    return torch.nn.functional.silu(gate) * up


def _rope_in_torch(torch: Any, input: Any, cos: Any, sin: Any) -> Any:
    """Turned as the networks of Hugging Face do it: x cos + (-second half, first half of x) sin."""
    first, second = input.chunk(2, dim=-1)
    crossed = torch.cat([-second, first], dim=-1)
    return input * torch.cat([cos, cos], dim=-1) + crossed * torch.cat([sin, sin], dim=-1)


def _decode_in_torch(torch: Any, query: Any, cache: Any) -> Any:
    """With the keys one after the other, gathered first: PyTorch knows no blocks."""
    (row,), (length,) = cache.block_tables, cache.lengths
    keys, values = (
        array[row].transpose(0, 1).flatten(1, 2)[:, :length] for array in (cache.keys, cache.values)
    )
    return torch.nn.functional.scaled_dot_product_attention(query, keys, values)


def _merge_in_torch(torch: Any, parts: Any) -> Any:
    outs, lses = (torch.stack(items) for items in zip(*parts, strict=True))
    return (torch.softmax(lses, dim=0)[..., None] * outs).sum(dim=0)


def in_torch(torch: Any, name: str) -> Callable[..., Any]:
    """The function of PyTorch that does what the operation of that name does."""
    if name in IN_TORCH:
        return IN_TORCH[name](torch)
    for home in (torch.nn.functional, torch):
        if hasattr(home, name):
            return getattr(home, name)
    raise LookupError(f"torch has no {name!r}; say in benchmarks/arguments.py what does the same")

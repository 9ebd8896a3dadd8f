"""Attention of new tokens to a cache, and attention put together from that to parts of the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.autograd.grad_mode import Mode
from tinynn.autograd.tensor import Tensor
from tinynn.backend import recording
from tinynn.backend.devices import array_module, backend_of
from tinynn.backend.dtypes import is_floating
from tinynn.ops.dims import check_tensor
from tinynn.ops.joining import stack
from tinynn.ops.paged import (
    PagedKV,
    check_new,
    check_paged,
    check_query,
    check_slots,
    check_tables,
    check_window,
    is_debugging,
)
from tinynn.ops.registry import apply_all, declare, public

if TYPE_CHECKING:
    from collections.abc import Sequence

DECODE_ATTENTION = declare(
    "decode_attention",
    lambda xp, query, starts, keys, values, key_scales, value_scales, tables, lengths, **options: (
        backend_of(query).kernels.decode_attention(
            xp.ascontiguousarray(query),
            starts,
            keys,
            values,
            key_scales,
            value_scales,
            tables,
            lengths,
            **options,
        )
    ),
    differentiable=False,
)

MERGE_ATTENTION = declare(
    "merge_attention",
    lambda xp, outs, lses: backend_of(outs).kernels.merge_attention(outs, lses),
    differentiable=False,
)


@public
def decode_attention(
    query: Tensor,
    cache: PagedKV,
    query_starts: Tensor | None = None,
    *,
    scale: float | None = None,
    window: int | None = None,
    sinks: int = 0,
    split_size: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Attention of the last tokens of some sequences to their keys and values in a cache.

    Token i of the n new ones of a sequence of length m is at position m - n + i, and sees the keys
    up to its own. No gradient goes through a cache: the results require none. To multiply them with
    a cache of int8, kernels may round queries and shares to 16 bits: on the CPU to whole steps, of
    1 / 32767 of a query's largest number and of the largest share among 128 keys; with CUDA to
    16-bit floats.

    Arguments:
        query: [tokens, heads, head_dim] float32, float16 or bfloat16, sequence after sequence.
        cache: keys, values, tables and lengths, the new tokens included; as arrays. Head h of the
            query attends to head h // (heads // kv_heads), for at most 16 heads each.
        query_starts: [sequences + 1] int32, where the tokens of each sequence begin; None for one
            token a sequence.
        scale: of the products; None for 1 / sqrt(head_dim).
        window: a token sees that many keys, its own the last of them; None for all.
        sinks: and the first `sinks` keys, whatever the window says.
        split_size: keys that are attended to in one piece. With it a sequence's result is the same
            to the bit, whatever else is in the batch.

    Returns (out, lse): [tokens, heads, head_dim] in the query's dtype, and [tokens, heads] float32,
    the natural logarithm of the sum of the softmax, which `merge_attention` goes by. A token that
    sees no key has out 0 and lse -inf.

    Raises ValueError for shapes and options, TypeError for dtypes, RuntimeError for several
    devices or keys that are not contiguous. Tables and lengths are not looked at, unless the
    environment has TINYNN_DEBUG=1: then IndexError names the first entry that leads astray.

    >>> import numpy as np, tinynn as tn
    >>> from tinynn.inference import PagedKV
    >>> keys = np.zeros((1, 1, 16, 32), np.float32)  # a block of 16 positions
    >>> table, lengths = np.array([[0]], np.int32), np.array([8], np.int32)
    >>> cache = PagedKV(keys, keys + 3, None, None, table, lengths)
    >>> out, lse = tn.nn.functional.decode_attention(tn.ones(1, 2, 32), cache)
    >>> out[0, 0, 0], lse.exp()
    (tensor(3.), tensor([[8., 8.]]))
    """
    check_tensor("decode_attention", query, "query")
    check_paged("decode_attention", cache)
    tokens = query.shape[0] if query.ndim else 0
    if query_starts is None:
        sequences = cache.lengths.shape[0]
        if tokens != sequences:
            raise ValueError(
                f"decode_attention: without query_starts there is one token a sequence, but query "
                f"has {tokens} for {sequences} sequences"
            )
        xp = array_module(cache.lengths)
        query_starts = Tensor(xp.arange(sequences + 1, dtype="int32"))
    check_tensor("decode_attention", query_starts, "query_starts")
    check_query("decode_attention", query.data, query_starts.data, cache)
    check_window("decode_attention", window, sinks, split_size)
    options = {"scale": scale, "window": window, "sinks": sinks, "split_size": split_size}
    return attended(query, cache, query_starts, **options)


def attended(
    query: Tensor, cache: PagedKV, query_starts: Tensor, *, scale: float | None, **options: Any
) -> tuple[Tensor, Tensor]:
    """`decode_attention` of arguments that were checked, all but tables and lengths."""
    if is_debugging():
        tokens, window, sinks = query.shape[0], options["window"], options["sinks"]
        recording.checked(_check_tables, *cache, query_starts.data, tokens, window, sinks)
    options["scale"] = cache.keys.shape[3] ** -0.5 if scale is None else scale
    arrays = (None if array is None else Tensor(array) for array in cache)
    out, lse = apply_all(DECODE_ATTENTION, (query, query_starts, *arrays), options)
    return out, lse


def _check_tables(*arguments: Any) -> None:
    *fields, query_starts, tokens, window, sinks = arguments
    cache = PagedKV(*fields)
    check_tables("decode_attention", cache, query_starts, tokens, window, sinks)


@public
def merge_attention(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The attention over all keys, from the attention over each part of them.

    With lse the logarithm of the sum of the parts' exp(lse), it is the sum of
    exp(lse of a part - lse) times its out: exact, whatever the partition, up to rounding. The
    results require no gradient.

    Arguments:
        parts: (out, lse) of each part, as `decode_attention` gives them: [..., D] float, and [...]
            in float32, or float64 beside float64. Where lse is -inf, the part had no key and its
            out is not looked at.

    Returns (out, lse) of all keys; 0 and -inf where all parts are without keys.

    Raises ValueError for no parts and for shapes that do not fit, TypeError for dtypes,
    RuntimeError for several devices.

    >>> import tinynn as tn
    >>> near = tn.tensor([[1.0]]), tn.tensor([2.0]).log()  # two keys, with the value 1
    >>> far = tn.tensor([[4.0]]), tn.tensor([1.0]).log()
    >>> out, lse = tn.nn.functional.merge_attention([near, far])
    >>> out, lse.exp()
    (tensor([[2.]]), tensor([3.]))
    """
    if not len(parts):
        raise ValueError("merge_attention: parts must be one or more, got none")
    for place, (out, lse) in enumerate(parts):
        check_tensor("merge_attention", out, f"out of part {place}")
        check_tensor("merge_attention", lse, f"lse of part {place}")
        _check_part(place, out, lse, *parts[0])
    with Mode(False):
        outs, lses = stack([out for out, _ in parts]), stack([lse for _, lse in parts])
    out, lse = apply_all(MERGE_ATTENTION, (outs, lses), {})
    return out, lse


def _check_part(place: int, out: Tensor, lse: Tensor, first: Tensor, first_lse: Tensor) -> None:
    """Raises where a part is not of the kind of the first one."""
    if not out.ndim or out.shape[:-1] != lse.shape or out.shape != first.shape:
        raise ValueError(
            f"merge_attention: every out must be [..., D] of one shape and its lse [...]; part "
            f"{place} has {out.shape} and {lse.shape}, the first out {first.shape}"
        )
    dtype, expected = out.data.dtype, "float64" if out.data.dtype == "float64" else "float32"
    if not is_floating(dtype) or dtype != first.data.dtype or lse.data.dtype != expected:
        raise TypeError(
            f"merge_attention: every out must be of one float dtype, its lse float32, or float64 "
            f"as the out; part {place} has {dtype} and {lse.dtype}, the first out {first.dtype}"
        )
    for tensor in (out, lse, first_lse):
        if tensor.device != first.device:
            raise RuntimeError(
                f"merge_attention: parts are on two devices, {first.device} and {tensor.device}"
            )


def append_kv(
    key: Tensor,
    value: Tensor,
    slots: Tensor,
    cache: PagedKV,
    cos: Tensor | None = None,
    sin: Tensor | None = None,
    *,
    interleaved: bool = False,
) -> None:
    """Writes keys and values of new tokens into the blocks of a cache, in place.

    Arguments:
        key, value: [tokens, kv_heads, head_dim] float32, float16 or bfloat16, of one dtype.
        slots: [tokens] int64, block * block_size + place in it; a negative one is not written.
        cache: whose keys, values and scales are changed, arrays; int8 keeps rint(x / scale), with
            scale = max |x| / 127 of each vector.
        cos, sin: [tokens, R / 2] float32, by which keys are turned first, as by `rope`; or None.
        interleaved: which numbers of a key are a pair, as in `rope`.

    Raises ValueError for shapes, TypeError for dtypes, RuntimeError for several devices, and
    IndexError for slots that lie beyond the blocks, which are looked at with TINYNN_DEBUG=1 only.

    >>> import numpy as np, tinynn as tn
    >>> from tinynn.inference import PagedKV
    >>> keys, values = np.zeros((2, 1, 1, 16, 32), np.float32)
    >>> table, lengths = np.array([[0]], np.int32), np.array([1], np.int32)
    >>> cache = PagedKV(keys, values, None, None, table, lengths)
    >>> token = tn.ones(1, 1, 32)
    >>> tn.nn.functional.append_kv(token, token * 2, tn.tensor([3]), cache)
    >>> values[0, 0, :5, 0].tolist()
    [0.0, 0.0, 0.0, 2.0, 0.0]
    """
    arguments: dict[str, Any] = {"key": key, "value": value, "slots": slots}
    if cos is not None or sin is not None:
        arguments |= {"cos": cos, "sin": sin}
    for name, tensor in arguments.items():
        check_tensor("append_kv", tensor, name)
    check_paged("append_kv", cache)
    check_new("append_kv", key.data, value.data, slots.data, cache)
    if cos is not None and sin is not None:
        _check_angles(cos, sin, key)
    appended(key, value, slots, cache, cos, sin, interleaved)


def appended(
    key: Tensor,
    value: Tensor,
    slots: Tensor,
    cache: PagedKV,
    cos: Tensor | None,
    sin: Tensor | None,
    interleaved: bool,
) -> None:
    """`append_kv` of arguments that were checked, all but the slots."""
    if is_debugging():
        recording.checked(_check_slots, *cache, slots.data)
    seen = [
        None if array is None else recording.seen(array)
        for array in (*(None if t is None else t.data for t in (cos, sin)), *cache[:4])
    ]
    new = [recording.seen(tensor.data) for tensor in (key, value, slots)]
    xp = array_module(new[0])
    new[:2] = map(xp.ascontiguousarray, new[:2])
    append = recording.timed("append_kv", backend_of(new[0]).kernels.append_kv)
    # A cache may be large, and what is appended lies beyond what was there.
    recording.rewriting(append, *new, *seen, interleaved=interleaved)


def _check_slots(*arguments: Any) -> None:
    *fields, slots = arguments
    check_slots("append_kv", PagedKV(*fields), slots)


def _check_angles(cos: Tensor, sin: Tensor, key: Tensor) -> None:
    """Raises where cos and sin do not turn these keys."""
    tokens, _, head_dim = key.shape
    fits = cos.ndim == 2 and cos.shape[0] == tokens and 2 * cos.shape[1] <= head_dim
    if not fits or sin.shape != cos.shape:
        raise ValueError(
            f"append_kv: cos and sin must be [tokens, R / 2] with R <= head_dim, for keys of shape "
            f"{key.shape}; they are {cos.shape} and {sin.shape}"
        )
    for name, table in (("cos", cos), ("sin", sin)):
        if table.data.dtype != "float32":
            raise TypeError(f"append_kv: {name} must be float32, got {table.dtype}")
        if table.device != key.device:
            raise RuntimeError(f"append_kv: key is on {key.device} and {name} on {table.device}")

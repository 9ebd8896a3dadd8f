"""Samples of attention to a cache: keys and values in blocks, whose references look them up."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import OpInfo, refuse, sample
from tinynn.backend.devices import array_module
from tinynn.nn import functional as F
from tinynn.ops.paged import PagedKV

KV_HEADS, SIZE, WIDTH = 2, 16, 32
NO_CACHE = "PyTorch has no attention to a cache in blocks"


def decode(query, keys, values, tables, lengths, starts=None, **options):
    arrays = (array_module(t.data).ascontiguousarray(t.data) for t in (keys, values))
    cache = PagedKV(*arrays, None, None, tables.data, lengths.data)
    return F.decode_attention(query, cache, starts, **options)


def whole_numbers(*numbers):
    return np.array(numbers, np.int32)


def caches(make):
    """(keys, values, tables, lengths) of three sequences in five blocks."""
    keys, values = (make(5, KV_HEADS, SIZE, WIDTH) for _ in range(2))
    return keys, values, whole_numbers((3, 1), (0, -1), (2, 4)), whole_numbers(20, 1, 32)


def decode_samples(make):
    cache = caches(make)
    yield sample(make(3, 2, WIDTH), *cache)
    yield sample(make(3, 6, WIDTH), *cache, scale=0.5)
    yield sample(make(5, 4, WIDTH), *cache, whole_numbers(0, 2, 2, 5))
    yield sample(make(3, 2, WIDTH), *cache, window=17, sinks=3)
    yield sample(make(4, 4, WIDTH), *cache, whole_numbers(0, 0, 1, 4), window=2, split_size=16)
    yield sample(make(3, 2, WIDTH), *cache[:3], whole_numbers(0, 1, 17))
    yield sample(make(0, 2, WIDTH), *cache, whole_numbers(0, 0, 0, 0))


def decode_reference(
    query,
    keys,
    values,
    tables,
    lengths,
    starts=None,
    scale=WIDTH**-0.5,
    window=None,
    sinks=0,
    split_size=None,
):
    starts = np.arange(len(lengths) + 1) if starts is None else starts
    out, lse = np.zeros(query.shape), np.full(query.shape[:2], -np.inf)
    for s, length in enumerate(lengths):
        for token in range(starts[s], starts[s + 1]):
            place = length - (starts[s + 1] - token)
            for head in range(query.shape[1]):
                powers, mixed = 0.0, np.zeros(WIDTH)
                for j in range(place + 1):
                    if window is None or j > place - window or j < sinks:
                        where = (tables[s, j // SIZE], head * KV_HEADS // query.shape[1], j % SIZE)
                        power = np.exp(scale * (query[token, head] @ keys[where]))
                        powers, mixed = powers + power, mixed + power * values[where]
                if powers:
                    out[token, head], lse[token, head] = mixed / powers, np.log(powers)
    return out, lse


def decode_refused(make):
    keys, values, tables, lengths = caches(make)
    query = make(3, 2, WIDTH)
    yield refuse(ValueError, make(3, WIDTH), keys, values, tables, lengths, says=r"\(3, 32\)")
    yield refuse(ValueError, make(3, 2, 48), keys, values, tables, lengths, says=r"\(3, 2, 48\)")
    for heads in (0, 3, 34):
        wrong = make(3, heads, WIDTH)
        yield refuse(ValueError, wrong, keys, values, tables, lengths, says=f"it has {heads}")
    yield refuse(ValueError, query[:2], keys, values, tables, lengths, says="2 for 3 sequences")
    yield refuse(
        ValueError,
        query,
        keys,
        values,
        tables,
        lengths,
        whole_numbers(0, 3),
        says=r"query_starts must have the shape \(4,\)",
    )
    yield refuse(
        TypeError, query, keys, values, tables, lengths, np.arange(4), says="int32, got int64"
    )
    wide = make(3, 2, WIDTH, dtype="float64")
    yield refuse(TypeError, wide, keys, values, tables, lengths, says="query.*got float64")
    yield refuse(TypeError, query, keys, values, tables, np.arange(3), says="lengths must be int32")
    yield refuse(ValueError, query, keys[:, :, :8], values, tables, lengths, says="block_size")
    for options, says in (
        ({"window": 0}, "window must be at least 1 or None, got 0"),
        ({"sinks": 2}, "sinks go with a window"),
        ({"window": 4, "sinks": -1}, "sinks go with a window and are 0 or more, got -1"),
        ({"split_size": 0}, "split_size must be at least 1 or None, got 0"),
    ):
        yield refuse(ValueError, query, keys, values, tables, lengths, **options, says=says)


def merge_samples(make):
    for parts, shape in ((1, (3, 2, 4)), (3, (2, 5)), (2, (0, 3))):
        yield sample([(make(*shape), lse(make, *shape[:-1])) for _ in range(parts)])
    absent = (make(2, 5), np.full(2, -np.inf, lse(make, 2).dtype))
    yield sample([absent, (make(2, 5), lse(make, 2)), absent])
    yield sample([absent, absent])


def lse(make, *shape):
    """In float64 beside float64, else in float32."""
    numbers = make(*shape)
    return numbers if numbers.dtype == np.float64 else numbers.astype(np.float32)


def merge_reference(parts):
    weights = np.exp([lse for _, lse in parts])
    total = weights.sum(axis=0)
    mixed = sum(weight[..., None] * out for weight, (out, _) in zip(weights, parts, strict=True))
    return np.where(total[..., None] > 0, mixed / total[..., None], 0), np.log(total)


def merge_refused(make):
    part = make(2, 5), make(2)
    yield refuse(ValueError, [], says="got none")
    yield refuse(ValueError, [part, (make(3, 5), make(3))], says=r"part 1 has \(3, 5\)")
    yield refuse(ValueError, [(make(2, 5), make(3))], says=r"part 0 has \(2, 5\) and \(3,\)")
    double = make(2, 5, dtype="float64")
    yield refuse(TypeError, [part, (double, make(2))], says="part 1 has float64 and float32")
    yield refuse(TypeError, [part, (make(2, 5), None)], says="lse of part 1")
    numbers = make(2, 5, dtype="int64")
    yield refuse(TypeError, [(numbers, make(2))], says="part 0 has int64")


INFOS = [
    OpInfo(
        "decode_attention",
        samples=decode_samples,
        reference=decode_reference,
        refused=decode_refused,
        dtypes=("float32", "float16"),
        differentiable=False,
        not_in_torch=NO_CACHE,
        function=decode,
    ),
    OpInfo(
        "merge_attention",
        samples=merge_samples,
        reference=merge_reference,
        refused=merge_refused,
        differentiable=False,
        not_in_torch="PyTorch has no merging of attention",
    ),
]

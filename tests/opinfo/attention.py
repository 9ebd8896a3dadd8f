"""Samples of attention, and the formula written out, one query at a time."""

from __future__ import annotations

import math

import numpy as np

from tests.opinfo.info import OpInfo, refuse, sample
from tinynn.backend.reference.dropout import dropout

NAME = "scaled_dot_product_attention"


def three(make, *lead, queries=5, keys=5, size=4, width=4, kv_heads=None):
    """query, key and value; the last of the leading dimensions counts heads."""
    shared = (*lead[:-1], lead[-1] if kv_heads is None else kv_heads) if lead else ()
    return (
        make(*lead, queries, size),
        make(*shared, keys, size),
        make(*shared, keys, width),
    )


def samples(make):
    yield sample(*three(make, 2, 3))
    yield sample(*three(make, 2, 2, queries=3, keys=7, size=6, width=3), scale=0.3)
    yield sample(*three(make, 1, 2, queries=6, keys=4), is_causal=True)
    yield sample(
        *three(make, 2, 4, kv_heads=2, queries=4, keys=6), None, 0.0, True, enable_gqa=True
    )
    yield sample(*three(make))
    yield sample(*three(make, 2), is_causal=True)
    yield sample(*three(make, 4, kv_heads=1), enable_gqa=True)
    yield sample(*three(make, 2, 1, 2, queries=2, keys=3), make.mask(2, 1, 1, 2, 3))
    mask = make.mask(5, 5)
    mask[1] = False
    yield sample(*three(make, 2, 3), mask)
    yield sample(*three(make, 2, 2), make(2, 1, 1, 5))
    yield sample(*three(make, 3), make(3, 5, 1))
    yield sample(*three(make, 2, 4, kv_heads=2), make(4, 5, 5), enable_gqa=True)
    yield sample(*three(make, 1, 2, queries=7, keys=6), is_causal=True, window=2)
    yield sample(*three(make, 1, 2, queries=9, keys=6), is_causal=True, window=3, sinks=1)
    yield sample(*three(make, 1, 1, queries=9, keys=4), is_causal=True, window=3)
    random = {"stream": 3, "step": 2, "offset": 5}
    yield sample(*three(make, 2, 2), dropout_p=0.4, is_causal=True, **random)
    yield sample(*three(make, 2, 4, kv_heads=2), make.mask(5, 5), 0.5, enable_gqa=True, **random)
    yield sample(*three(make, 2, 2, keys=0))
    yield sample(*three(make, 2, 2, keys=0, kv_heads=1), is_causal=True, enable_gqa=True)
    yield sample(*three(make, 2, 2, queries=0))
    yield sample(*three(make, 0, 2))


def attention(
    query,
    key,
    value,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    scale=None,
    enable_gqa=False,
    *,
    window=None,
    sinks=0,
    **counters,
):
    """Weights and sums, one query at a time, of the keys that it sees."""
    group = query.shape[-3] // key.shape[-3] if enable_gqa else 1
    key, value = (np.repeat(x, group, axis=-3) if group > 1 else x for x in (key, value))
    *lead, keys = *query.shape[:-1], key.shape[-2]
    weights = np.zeros((*lead, keys))
    mask = np.broadcast_to(True if attn_mask is None else attn_mask, weights.shape)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    for place in np.ndindex(*lead):
        *batch, i = place
        seen = []
        for j in range(keys):
            near = window is None or i - j < window or j < sinks
            allowed = mask.dtype != bool or mask[(*place, j)]
            if allowed and (not is_causal or (j <= i and near)):
                seen.append(j)
        added = 0.0 if mask.dtype == bool else mask[place][seen]
        scores = scale * (key[(*batch, seen)] @ query[place]) + added
        if seen:
            powers = np.exp(scores - scores.max())
            weights[place][seen] = powers / powers.sum()
    if dropout_p:
        weights = dropout(weights, p=dropout_p, key=0, **counters)
    return weights @ value


def in_torch(torch):
    """PyTorch's; what it has no argument for, a window and our random numbers, as a mask."""

    def call(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, **others):
        window, sinks = others.pop("window", None), others.pop("sinks", 0)
        counters = {
            name: others.pop(name) for name in ("stream", "step", "offset") if name in others
        }
        i, j = torch.arange(query.shape[-2])[:, None], torch.arange(key.shape[-2])
        if window is not None:
            attn_mask, is_causal = (j <= i) & ((j > i - window) | (j < sinks)), False
        if not dropout_p:
            return torch.nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask, 0.0, is_causal, **others
            )
        group = query.shape[1] // key.shape[1]
        key, value = (x.repeat_interleave(group, 1) for x in (key, value))
        seen = (j <= i) if is_causal else attn_mask
        scores = query @ key.mT / math.sqrt(query.shape[-1])
        if seen is not None:
            scores = scores.masked_fill(~seen, -math.inf)
        weights = scores.softmax(-1).nan_to_num(0.0)
        factors = dropout(np.ones(weights.shape), p=dropout_p, key=0, **counters)
        return (weights * torch.tensor(factors).to(weights.dtype)) @ value

    return call


def refused(make):
    q, k, v = three(make, 2, 4)
    yield refuse(RuntimeError, q, k[:, :2], v[:, :2], says="4 heads.*have 2.*enable_gqa=True")
    yield refuse(RuntimeError, q, k[:, :3], v[:, :3], enable_gqa=True, says="multiple.*4 and 3")
    yield refuse(RuntimeError, q, k[:1], v[:1], says=r"leading.*\(2, 4, 5, 4\).*\(1, 4, 5, 4\)")
    yield refuse(RuntimeError, q, k, v[:, :2], says="key and value.*leading")
    yield refuse(RuntimeError, q, k[..., :3], v, says=r"key must have query's E, 4.*\(2, 4, 5, 3\)")
    yield refuse(RuntimeError, q, k, v[..., :3, :], says="value must have key's S, 5")
    yield refuse(RuntimeError, q, k[0], v[0], says=r"as many dimensions.*key has.*\(4, 5, 4\)")
    yield refuse(RuntimeError, make(4), make(4), make(4), says="two or more")
    yield refuse(RuntimeError, q, k, make(2, 4, 5, 4, dtype="float64"), says="value float64")
    yield refuse(RuntimeError, *three(lambda *s: make(*s, dtype="int64")), says="floats, got int64")
    yield refuse(RuntimeError, q, k, v, make(3, 5), says=r"\(2, 4, 5, 5\).*\(3, 5\)")
    yield refuse(RuntimeError, q, k, v, make(1, 2, 4, 5, 5), says=r"broadcast")
    yield refuse(RuntimeError, q, k, v, make(5, 5, dtype="int64"), says="bool.*float32.*int64")
    yield refuse(RuntimeError, q, k, v, make.mask(5, 5), is_causal=True, says="exclude")
    yield refuse(ValueError, q, k, v, dropout_p=1.5, says="between 0 and 1, got 1.5")
    yield refuse(ValueError, q, k, v, window=2, says="window needs is_causal")
    yield refuse(ValueError, q, k, v, is_causal=True, window=0, says="at least 1.*got 0")
    yield refuse(ValueError, q, k, v, is_causal=True, sinks=1, says="sinks.*got 1")
    yield refuse(ValueError, q, k, v, is_causal=True, window=2, sinks=-1, says="got -1")
    yield refuse(TypeError, q, k, [1.0], says="value.*list")


INFOS = [
    OpInfo(NAME, samples=samples, reference=attention, refused=refused, torch=in_torch),
]

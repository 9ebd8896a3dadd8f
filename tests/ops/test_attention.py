"""Attention beyond its samples: rows that see nothing, 16 bits, dropout, and compiled steps.

Values and gradients of the samples in tests/opinfo/attention.py are checked with those of every
operation, against the formula, against differences and against PyTorch.
"""

import ml_dtypes
import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tests.capture.twice import Training, agree, batches_of
from tests.opinfo.attention import attention as formula
from tests.opinfo.attention import three
from tests.opinfo.maker import Maker
from tinynn.backend.random import get_rng_state
from tinynn.nn.functional import scaled_dot_product_attention as attention


def tensors(arrays, **options):
    return [tn.tensor(array, **options) for array in arrays]


def gradients(arrays, *args, **kwargs):
    leaves = tensors(arrays, requires_grad=True)
    attention(*leaves, *args, **kwargs).sum().backward()
    return [host(leaf.grad) for leaf in leaves]


def test_rows_that_see_nothing_are_zero_and_pass_no_gradient(device):
    arrays = three(Maker(), 1, 2)
    seen = np.ones((5, 5), bool)
    seen[[0, 3]] = False
    added = np.where(seen, 0.0, -np.inf)
    for mask in (seen, added):
        q, k, v = tensors(arrays, device=device, requires_grad=True)
        out = attention(q, k, v, tn.tensor(mask, device=device))
        (out * out).sum().backward()
        assert not host(out)[..., [0, 3], :].any()
        np.testing.assert_allclose(host(out), formula(*arrays, seen), atol=1e-12)
        assert not host(q.grad)[..., [0, 3], :].any()
        assert all(np.isfinite(host(item.grad)).all() for item in (q, k, v))


def test_without_keys_the_result_is_zero():
    q, k, v = tensors(three(Maker(), 2, 3, keys=0, width=6), requires_grad=True)
    out = attention(q, k, v)
    out.sum().backward()
    assert out.shape == (2, 3, 5, 6)
    assert not out.data.any()
    assert not q.grad.data.any()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_16_bits_are_computed_in_float32(dtype):
    arrays = [
        array.astype(dtype) for array in three(Maker(1), 2, 4, kv_heads=2, queries=40, keys=40)
    ]
    options = {"is_causal": True, "enable_gqa": True}
    out = attention(*tensors(arrays), **options)
    wide = [array.astype(np.float64) for array in arrays]
    assert out.dtype == dtype
    unit = float(ml_dtypes.finfo(dtype).eps)
    expected = formula(*wide, **options)
    assert np.abs(host(out).astype(np.float64) - expected).max() <= unit * np.abs(expected).max()
    for found, reference in zip(
        gradients(arrays, **options), gradients(wide, **options), strict=True
    ):
        error = np.abs(found.astype(np.float64) - reference).max()
        assert error <= 4 * unit * np.abs(reference).max()


def test_large_scores_do_not_overflow():
    q, k, v = three(Maker(2, "float32"), 1, 1, queries=4, keys=6)
    out = host(attention(*tensors((1000 * q, 1000 * k, v))))
    best = (q @ k.swapaxes(-1, -2)).argmax(-1)[0, 0]
    np.testing.assert_allclose(out[0, 0], v[0, 0, best], rtol=1e-6)


def test_the_scores_are_not_kept_for_the_gradient():
    q, k, v = tensors(three(Maker(), 1, 2, queries=64, keys=64), requires_grad=True)
    saved = attention(q, k, v, is_causal=True).node.saved
    assert max(item.size for item in saved if item is not None) == q.data.size
    assert saved[-1].shape == (1, 2, 64)


def test_a_mask_that_is_trained_gets_its_gradient():
    arrays = three(Maker(3), 2, 2)
    bias = Maker(4)(2, 5, 5)
    mask = tn.tensor(bias, requires_grad=True)
    trained = attention(*tensors(arrays), mask)
    np.testing.assert_allclose(
        host(trained), host(attention(*tensors(arrays), mask.detach())), atol=1e-12
    )
    trained.sum().backward()
    step = 1e-6 * np.eye(50)[17].reshape(2, 5, 5)
    values = [formula(*arrays, bias + sign * step).sum() for sign in (1, -1)]
    assert host(mask.grad).reshape(-1)[17] == pytest.approx(
        (values[0] - values[1]) / 2e-6, abs=1e-8
    )
    with tn.no_grad():
        assert not attention(*tensors(arrays), mask).requires_grad


def test_dropout_zeroes_weights_and_draws_new_ones_at_each_call():
    q, k = tn.zeros(4, 2, 50, 8), tn.zeros(4, 2, 50, 8)
    v = tn.eye(50).expand(4, 2, 50, 50)  # so that the result is the weights
    first, second = (host(attention(q, k, v, dropout_p=0.3)) for _ in range(2))
    assert np.unique(first).tolist() == pytest.approx([0.0, 1 / 50 / 0.7], rel=1e-6)
    assert np.mean(first == 0) == pytest.approx(0.3, abs=0.015)  # 4 standard deviations
    assert (first != second).any()
    halves = [
        host(attention(q[part], k[part], v[part], dropout_p=0.3, stream=0, offset=part.start))
        for part in (slice(0, 2), slice(2, 4))
    ]
    whole = host(attention(q, k, v, dropout_p=0.3, stream=0))
    np.testing.assert_array_equal(np.concatenate(halves), whole)
    before = get_rng_state()
    attention(q, k, v)
    assert get_rng_state() == before


def test_many_leading_dimensions_are_those_of_one_by_one():
    q, k, v = three(Maker(5), 2, 3, 2, queries=3, keys=4)
    mask = Maker(6).mask(1, 3, 1, 3, 4)  # which stretches over the first dimension alone
    out = host(attention(*tensors((q, k, v)), tn.tensor(mask)))
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(
            out[i, j], formula(q[i, j], k[i, j], v[i, j], mask[0, j]), atol=1e-12
        )


@pytest.mark.parametrize(
    "options",
    [
        {"is_causal": True},
        {"is_causal": True, "window": 3, "sinks": 1},
        {"is_causal": True, "dropout_p": 0.5},
        {"dropout_p": 0.5, "stream": 7},
        {"attn_mask": "a tensor"},
    ],
)
def test_a_compiled_training_step_gives_the_same_bits(options):
    def make():
        model = tn.nn.Linear(8, 24)
        optimizer = tn.optim.AdamW(model.parameters(), lr=0.01)

        def step(x, seen):
            heads = model(x).reshape(2, 6, 3, 2, 4).permute(2, 0, 3, 1, 4)
            given = {**options, "attn_mask": seen > -1} if "attn_mask" in options else options
            loss = attention(heads[0], heads[1], heads[2], **given).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return Training(step, [model], [optimizer])

    agree(make, batches_of(4, (2, 6, 8), (6, 6)))

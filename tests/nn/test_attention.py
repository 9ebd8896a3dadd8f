"""MultiheadAttention: its formula, PyTorch's layer of the same name, and decoding with a cache."""

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tests.capture.twice import Training, agree, batches_of
from tinynn import nn


def numbers(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def softmax(scores):
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def formula(layer, x, y, left_out):
    """Out and weights of one sequence, head by head, in float64. left_out: [L, S] bool."""
    state = {name: host(value).astype(np.float64) for name, value in layer.state_dict().items()}
    d, group = layer.head_dim, layer.num_heads // layer.num_kv_heads
    ends = np.cumsum([layer.embed_dim, layer.num_kv_heads * d])
    bias = state.get("in_proj_bias", np.zeros(len(state["in_proj_weight"])))
    parts = zip(np.split(state["in_proj_weight"], ends), np.split(bias, ends), strict=True)
    q, k, v = (z @ weight.T + b for z, (weight, b) in zip((x, y, y), parts, strict=True))
    outs, weights = [], []
    for head in range(layer.num_heads):
        own, shared = (slice(h * d, h * d + d) for h in (head, head // group))
        scores = q[:, own] @ k[:, shared].T / np.sqrt(d)
        weights.append(softmax(np.where(left_out, -np.inf, scores)))
        outs.append(weights[-1] @ v[:, shared])
    joined = np.concatenate(outs, -1) @ state["out_proj.weight"].T
    return joined + state.get("out_proj.bias", 0), np.stack(weights)


def with_biases(layer):
    """The layer with biases that are not 0, as they are after training."""
    for number, (name, parameter) in enumerate(layer.named_parameters()):
        if "bias" in name:
            nn.init.normal_(parameter, generator=np.random.default_rng(number))
    return layer


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_formula(kv_heads, bias, device):
    layer = with_biases(nn.MultiheadAttention(16, 4, bias=bias, num_kv_heads=kv_heads))
    x, y = numbers(5, 2, 16), numbers(7, 2, 16, seed=1)  # (L, N, E)
    mask = np.random.default_rng(2).random((5, 7)) < 0.4
    mask[:, 3] = False
    padding = np.zeros((2, 7), bool)
    padding[1, 4:] = True
    expected = [formula(layer, x[:, n], y[:, n], mask | padding[n]) for n in range(2)]
    layer.to(device)
    q, k, m, p = (tn.tensor(array, device=device) for array in (x, y, mask, padding))
    out, weights = layer(q, k, k, p, attn_mask=m, average_attn_weights=False)
    fused, none = layer(q, k, k, p, need_weights=False, attn_mask=m)
    assert none is None
    for n in range(2):
        np.testing.assert_allclose(host(out)[:, n], expected[n][0], atol=2e-6)
        np.testing.assert_allclose(host(fused)[:, n], expected[n][0], atol=2e-6)
        np.testing.assert_allclose(host(weights)[n], expected[n][1], atol=1e-6)
    _, averaged = layer(q, k, k, p, attn_mask=m)
    np.testing.assert_allclose(host(averaged), host(weights).mean(1), atol=1e-6)


def test_it_begins_as_in_torch():
    tn.manual_seed(1)
    layer = nn.MultiheadAttention(64, 4)
    bound = np.sqrt(6 / (64 + 192))
    weight = host(layer.in_proj_weight)
    assert 0.98 * bound < np.abs(weight).max() <= bound
    assert np.std(weight) == pytest.approx(bound / np.sqrt(3), rel=0.02)
    assert np.abs(host(layer.out_proj.weight)).max() <= 1 / 8
    assert not host(layer.in_proj_bias).any()
    assert not host(layer.out_proj.bias).any()


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_first": True, "bias": False},
        {"kdim": 6, "vdim": 10},
        {"batch_first": True, "kdim": 12, "vdim": 5},
    ],
)
def test_it_interchanges_with_torch(options, need_weights):
    torch = pytest.importorskip("torch")
    its = torch.nn.MultiheadAttention(12, 3, **options)
    for parameter in its.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    mine = nn.MultiheadAttention(12, 3, **options)
    mine.load_state_dict({name: value.numpy() for name, value in its.state_dict().items()})
    assert list(mine.state_dict()) == list(its.state_dict())
    assert {n: p.shape for n, p in mine.state_dict().items()} == {
        n: tuple(p.shape) for n, p in its.state_dict().items()
    }
    shapes = (2, 4), (2, 5), (2, 5)
    if not options.get("batch_first"):
        shapes = (4, 2), (5, 2), (5, 2)
    widths = 12, options.get("kdim", 12), options.get("vdim", 12)
    arrays = [
        numbers(*lead, width, seed=n)
        for n, (lead, width) in enumerate(zip(shapes, widths, strict=True))
    ]
    bool_padding = np.arange(5) >= np.array([[5], [3]])
    bool_mask = np.triu(np.ones((4, 5), bool), 1)
    masks = [
        {},
        {"key_padding_mask": bool_padding, "attn_mask": bool_mask},
        {"key_padding_mask": np.where(bool_padding, -1.0, 0.5).astype(np.float32)},
        {"attn_mask": numbers(6, 4, 5)},
        {"attn_mask": bool_mask, "is_causal": True},
        {"attn_mask": bool_mask, "is_causal": True, "key_padding_mask": bool_padding},
        {"average_attn_weights": False},
    ]
    for given in masks:
        compare(mine, its, arrays, {**given, "need_weights": need_weights}, torch)
    if not options.get("batch_first"):
        compare(mine, its, [array[:, 0] for array in arrays], {"need_weights": need_weights}, torch)


def compare(mine, its, arrays, options, torch):
    """Results and gradients of the two."""

    def given(tensor):
        return {
            key: tensor(item) if isinstance(item, np.ndarray) else item
            for key, item in options.items()
        }

    mine.zero_grad()
    its.zero_grad()
    inputs = [tn.tensor(array, requires_grad=True) for array in arrays]
    out, weights = mine(*inputs, **given(tn.tensor))
    peers = [torch.tensor(array, requires_grad=True) for array in arrays]
    expected, its_weights = its(*peers, **given(torch.tensor))
    np.testing.assert_allclose(host(out), expected.detach().numpy(), rtol=1e-5, atol=2e-6)
    assert (weights is None) == (its_weights is None)
    if weights is not None:
        assert weights.shape == tuple(its_weights.shape)
        np.testing.assert_allclose(host(weights), its_weights.detach().numpy(), atol=1e-6)
    out.square().sum().backward()
    expected.square().sum().backward()
    pairs = zip(inputs, peers, strict=True)
    for leaf, peer in pairs:
        np.testing.assert_allclose(host(leaf.grad), peer.grad.numpy(), rtol=1e-4, atol=1e-5)
    peers_by_name = dict(its.named_parameters())
    for name, parameter in mine.named_parameters():
        gradient = peers_by_name[name].grad.numpy()
        np.testing.assert_allclose(host(parameter.grad), gradient, rtol=1e-4, atol=2e-5)


def test_one_tensor_is_projected_in_one_product_as_three_are():
    layer = with_biases(nn.MultiheadAttention(8, 2))
    x = tn.tensor(numbers(4, 3, 8))
    same, apart = layer(x, x, x)[0], layer(x, x.clone(), x.clone())[0]
    np.testing.assert_allclose(host(same), host(apart), atol=1e-6)


def test_a_query_that_sees_nothing_has_no_weights():
    layer = nn.MultiheadAttention(8, 2, bias=False)
    x = tn.tensor(numbers(3, 1, 8))
    everything = tn.tensor(np.ones((1, 3), bool))
    out, weights = layer(x, x, x, everything)
    assert not host(out).any()
    assert not host(weights).any()


def test_dropout_draws_the_same_numbers_with_and_without_weights():
    layer = nn.MultiheadAttention(16, 2, dropout=0.4)
    x = tn.tensor(numbers(6, 3, 16))
    fused, _ = layer(x, x, x, need_weights=False)
    layer.step -= 1
    composed, weights = layer(x, x, x, average_attn_weights=False)
    np.testing.assert_allclose(host(fused), host(composed), atol=1e-6)
    assert 0.2 < np.mean(host(weights) == 0) < 0.6
    again, _ = layer(x, x, x, need_weights=False)
    assert (host(again) != host(fused)).any()
    still, _ = layer.eval()(x, x, x, need_weights=False)
    assert (host(layer(x, x, x)[0]) - host(still) < 1e-6).all()
    twin = nn.MultiheadAttention(16, 2, dropout=0.4)
    twin.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(
        *(host(m.train()(x, x, x, need_weights=False)[0]) for m in (twin, layer))
    )


@pytest.mark.parametrize("need_weights", [True, False])
def test_rotary_and_window(need_weights):
    rotary = nn.RotaryEmbedding(8)
    layer = nn.MultiheadAttention(16, 2, batch_first=True, rotary=rotary, window=3, sinks=1)
    x = tn.tensor(numbers(1, 9, 16))
    out, _ = layer(x, x, x, need_weights=need_weights, is_causal=True)
    bare = nn.MultiheadAttention(16, 2, bias=False)
    bare.load_state_dict({n: p for n, p in layer.state_dict().items() if "bias" not in n})
    q, k, v = np.split(host(x)[0] @ host(layer.in_proj_weight).T, 3, axis=1)
    heads = []
    for head in (slice(0, 8), slice(8, 16)):
        turned = [host(rotary(tn.tensor(np.ascontiguousarray(z[:, head])))) for z in (q, k)]
        i, j = np.arange(9)[:, None], np.arange(9)
        seen = (j <= i) & ((j > i - 3) | (j < 1))
        scores = turned[0] @ turned[1].T / np.sqrt(8)
        heads.append(softmax(np.where(seen, scores, -np.inf)) @ v[:, head])
    expected = np.concatenate(heads, 1) @ host(layer.out_proj.weight).T
    np.testing.assert_allclose(host(out)[0], expected, atol=2e-6)


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_compiled_training_step_gives_the_same_bits(need_weights):
    def make():
        model = nn.MultiheadAttention(8, 2, dropout=0.2, batch_first=True, num_kv_heads=1)
        optimizer = tn.optim.AdamW(model.parameters(), lr=0.01)

        def step(x):
            out, _ = model(x, x, x, need_weights=need_weights, is_causal=True)
            loss = out.square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return Training(step, [model], [optimizer])

    agree(make, batches_of(4, (2, 6, 8)))


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((10, 3), ValueError, "multiple of num_heads, got 10 and 3"),
        ((12, 4, {"num_kv_heads": 3}), ValueError, "multiple of num_kv_heads, got 4 and 3"),
        ((12, 4, {"dropout": 1.5}), ValueError, "between 0 and 1, got 1.5"),
        ((12, 4, {"add_bias_kv": True}), NotImplementedError, "add_bias_kv"),
        ((12, 4, {"window": 0}), ValueError, "window must be None or at least 1"),
        ((12, 4, {"sinks": 2}), ValueError, "sinks go with one"),
        ((12, 2, {"rotary": nn.RotaryEmbedding(4)}), ValueError, "vectors of 4, head_dim is 6"),
    ],
)
def test_what_cannot_be_made_is_refused(arguments, error, says):
    sizes, options = arguments[:2], arguments[2] if len(arguments) > 2 else {}
    with pytest.raises(error, match=f"MultiheadAttention: .*{says}"):
        nn.MultiheadAttention(*sizes, **options)


X, Y, MASK = tn.zeros(4, 3, 8), tn.zeros(5, 2, 8), tn.zeros(4, 5)


@pytest.mark.parametrize(
    ("given", "options", "error", "says"),
    [
        ((X[..., :6], X, X), {}, RuntimeError, r"query must be \(L, N, 8\).*\(4, 3, 6\)"),
        ((X, X[:, 0], X), {}, RuntimeError, r"key must be.*\(4, 8\), query's \(4, 3, 8\)"),
        ((X, Y, Y), {}, RuntimeError, r"of one batch.*\(4, 3, 8\), \(5, 2, 8\)"),
        ((X, X, X), {"attn_mask": MASK}, RuntimeError, r"attn_mask must.*\(4, 4\).*\(4, 5\)"),
        ((X, X, X), {"key_padding_mask": MASK}, RuntimeError, r"key_padding_mask must.*\(3, 4\)"),
        ((X, X, X), {"attn_mask": tn.arange(4)}, RuntimeError, "attn_mask must be bool.*int64"),
        ((X, X, X), {"cache": object()}, RuntimeError, r"with a cache.*\(tokens, 8\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(given, options, error, says):
    with pytest.raises(error, match=f"MultiheadAttention: .*{says}"):
        nn.MultiheadAttention(8, 2)(*given, **options)


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ValueError, match=r"window.*needs is_causal=True"):
        nn.MultiheadAttention(8, 2, window=2)(X, X, X)
    x = X[0]
    with pytest.raises(ValueError, match="takes no key_padding_mask"):
        nn.MultiheadAttention(8, 2)(x, x, x, MASK, cache=object())
    with pytest.raises(ValueError, match="a cache is for inference"):
        nn.MultiheadAttention(8, 2, dropout=0.1)(x, x, x, cache=object())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_kv_heads": 1, "rotary": True},
        {"num_kv_heads": 2, "rotary": True, "window": 5, "sinks": 2},
    ],
)
def test_decoding_with_a_cache_gives_the_causal_results(options):
    inference = pytest.importorskip("tinynn.inference")
    options = {**options, "rotary": nn.RotaryEmbedding(32) if "rotary" in options else None}
    layer = with_biases(nn.MultiheadAttention(64, 2, batch_first=True, **options)).eval()
    x = numbers(2, 23, 64)
    whole = tn.tensor(x)
    with tn.no_grad():
        expected = host(layer(whole, whole, whole, need_weights=False, is_causal=True)[0])
        cache = inference.KVCache(2, layer.num_kv_heads, 32, capacity=128)
        sequences = [cache.start(), cache.start()]
        done, found = [0, 0], [[], []]
        for counts in ([7, 1], [1, 16], [1, 1], [14, 0], [0, 5]):
            batch = cache.batch(sequences, counts)
            ends = [a + n for a, n in zip(done, counts, strict=True)]
            parts = [x[s, a:b] for s, (a, b) in enumerate(zip(done, ends, strict=True))]
            new = tn.tensor(np.concatenate(parts))
            out, weights = layer(new, new, new, cache=batch, layer=1)
            assert weights is None
            for s, part in enumerate(np.split(host(out), [counts[0]])):
                found[s].append(part)
            done = ends
    for s in range(2):
        np.testing.assert_allclose(np.concatenate(found[s]), expected[s], rtol=1e-5, atol=5e-6)

"""Layers and losses: their formulas in NumPy, and torch's layers of the same name."""

import math

import numpy as np
import pytest
from scipy import special

import tinynn as tn
from tests.arrays import host
from tests.opinfo.tolerances import assert_close
from tinynn import nn

X = np.random.default_rng(1).standard_normal((5, 6)).astype(np.float32) * 2
LABELS = np.array([0, 5, 2, 2, 1])
SHARES = special.softmax(X[::-1], axis=1)


def softmax(x):
    return special.softmax(x, axis=-1)


# (name, arguments, the formula).
FUNCTIONS = [
    ("Identity", {}, lambda x: x),
    ("ReLU", {}, lambda x: np.maximum(x, 0)),
    ("LeakyReLU", {"negative_slope": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
    ("ELU", {"alpha": 0.5}, lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    ("GELU", {}, lambda x: x * special.ndtr(x)),
    (
        "GELU",
        {"approximate": "tanh"},
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    ("SiLU", {}, lambda x: x * special.expit(x)),
    ("Sigmoid", {}, special.expit),
    ("Tanh", {}, np.tanh),
    ("Softplus", {"beta": 2.0}, lambda x: np.log1p(np.exp(2 * x)) / 2),
    ("Softmax", {"dim": -1}, softmax),
    ("LogSoftmax", {"dim": -1}, lambda x: np.log(softmax(x))),
    ("Flatten", {"start_dim": 0}, lambda x: x.reshape(-1)),
    (
        "LayerNorm",
        {"normalized_shape": 6},
        lambda x: (
            (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + np.float32(1e-5))
        ),
    ),
    (
        "RMSNorm",
        {"normalized_shape": 6, "eps": 1e-3},
        lambda x: x / np.sqrt((x**2).mean(-1, keepdims=True) + np.float32(1e-3)),
    ),
]

LOSSES = [
    ("CrossEntropyLoss", {}, LABELS, lambda x, t: -np.log(softmax(x))[np.arange(5), t].mean()),
    (
        "CrossEntropyLoss",
        {"label_smoothing": 0.2, "reduction": "sum"},
        LABELS,
        lambda x, t: (
            -0.8 * np.log(softmax(x))[np.arange(5), t].sum()
            - 0.2 * np.log(softmax(x)).mean(1).sum()
        ),
    ),
    ("CrossEntropyLoss", {}, SHARES, lambda x, t: -(t * np.log(softmax(x))).sum(1).mean()),
    (
        "CrossEntropyLoss",
        {"ignore_index": 2},
        LABELS,
        lambda x, t: -np.log(softmax(x))[[0, 1, 4], t[[0, 1, 4]]].mean(),
    ),
    ("NLLLoss", {"reduction": "none"}, LABELS, lambda x, t: -x[np.arange(5), t]),
    ("MSELoss", {}, SHARES, lambda x, t: ((x - t) ** 2).mean()),
    ("MSELoss", {"reduction": "sum"}, SHARES, lambda x, t: ((x - t) ** 2).sum()),
    (
        "BCEWithLogitsLoss",
        {},
        SHARES,
        lambda x, t: -(t * np.log(special.expit(x)) + (1 - t) * np.log(special.expit(-x))).mean(),
    ),
]


def label(case):
    return f"{case[0]}-{'-'.join(map(str, case[1].values()))}"


@pytest.mark.parametrize(("name", "options", "formula"), FUNCTIONS, ids=map(label, FUNCTIONS))
def test_a_layer_is_its_formula(name, options, formula, device):
    layer = getattr(nn, name)(**options).to(device)
    result = layer(tn.tensor(X, device=device))
    assert result.device.type == device
    assert_close(host(result), formula(X), factor=2)


@pytest.mark.parametrize(("name", "options", "target", "formula"), LOSSES, ids=map(label, LOSSES))
def test_a_loss_is_its_formula(name, options, target, formula, device):
    loss = getattr(nn, name)(**options).to(device)
    result = loss(tn.tensor(X, device=device), tn.tensor(target, device=device))
    assert_close(host(result), np.asarray(formula(X, target), np.float32), factor=2)


def test_linear_is_a_product_and_a_shift(device):
    layer = nn.Linear(6, 3).to(device)
    weight, bias = host(layer.weight), host(layer.bias)
    assert_close(host(layer(tn.tensor(X, device=device))), X @ weight.T + bias)
    images = tn.tensor(X, device=device).reshape(1, 5, 6)
    assert layer(images).shape == (1, 5, 3)
    layer = nn.Linear(6, 3, bias=False, device=device, dtype=tn.float64)
    assert layer.bias is None
    assert_close(
        host(layer(tn.tensor(X, tn.float64, device))), X.astype(float) @ host(layer.weight).T
    )


def test_linear_names_the_shapes_that_do_not_fit():
    with pytest.raises(RuntimeError, match=r"linear: .*\(5, 6\).*\(3, 4\)"):
        nn.Linear(4, 3)(tn.tensor(X))


def test_embedding_looks_up_rows_and_leaves_padding_alone(device):
    layer = nn.Embedding(4, 3, padding_idx=-1).to(device)
    weight = host(layer.weight)
    assert not weight[3].any()
    ids = tn.tensor([[0, 3], [0, 2]], device=device)
    result = layer(ids)
    assert (host(result) == weight[host(ids)]).all()
    result.sum().backward()
    assert (host(layer.weight.grad) == [[2] * 3, [0] * 3, [1] * 3, [0] * 3]).all()
    with pytest.raises(ValueError, match="padding_idx is 4, expected a row of 4"):
        nn.Embedding(4, 3, padding_idx=4)


def test_normalisation_with_weights(device):
    layer = nn.LayerNorm(6).to(device)
    with tn.no_grad():
        layer.weight.fill_(3.0)
        layer.bias.fill_(-1.0)
    plain = nn.LayerNorm(6, elementwise_affine=False)
    assert list(plain.parameters()) == []
    expected = host(plain(tn.tensor(X))) * 3 - 1
    assert_close(host(layer(tn.tensor(X, device=device))), expected, factor=2)
    assert nn.LayerNorm((2, 6), bias=False).bias is None
    assert nn.LayerNorm([2, 6]).weight.shape == (2, 6)


def test_weighted_losses_move_their_weights(device):
    weight = np.array([1, 2, 3, 4, 5, 6], np.float32)
    loss = nn.CrossEntropyLoss(weight=tn.tensor(weight)).to(device)
    assert list(loss.state_dict()) == ["weight"]
    chosen = weight[LABELS]
    expected = -(chosen * np.log(softmax(X))[np.arange(5), LABELS]).sum() / chosen.sum()
    result = loss(tn.tensor(X, device=device), tn.tensor(LABELS, device=device))
    assert_close(host(result), np.asarray(expected, np.float32), factor=2)


def test_the_state_a_linear_layer_begins_with():
    """U(-k, k) with k = 1/sqrt(in_features): bounds, and a variance of k^2 / 3."""
    layer = nn.Linear(400, 300)
    bound = 1 / math.sqrt(400)
    for parameter in layer.parameters():
        assert np.abs(host(parameter)).max() <= bound
    assert host(layer.weight).var() == pytest.approx(bound**2 / 3, rel=0.02)
    assert host(layer.bias).max() > 0.8 * bound


TORCH = [
    ("Linear", (6, 3), {}),
    ("Linear", (6, 3), {"bias": False}),
    ("LayerNorm", (6,), {}),
    ("LayerNorm", ((5, 6),), {"eps": 1e-2}),
    ("RMSNorm", (6,), {}),
    *(
        (name, (), options)
        for name, options, _ in FUNCTIONS
        if name not in ("LayerNorm", "RMSNorm")
    ),
]


@pytest.mark.parametrize(("name", "args", "options"), TORCH)
def test_outputs_and_gradients_are_torchs(name, args, options):
    torch = pytest.importorskip("torch")
    peer = getattr(torch.nn, name)(*args, **options)
    with torch.no_grad():
        for number, parameter in enumerate(peer.parameters()):
            parameter += 0.3 * torch.cos(torch.arange(parameter.numel()) + number).view_as(
                parameter
            )
    layer = getattr(nn, name)(*args, **options)
    layer.load_state_dict({key: value.numpy() for key, value in peer.state_dict().items()})
    x, peer_x = tn.tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
    result, expected = layer(x), peer(peer_x)
    assert_close(host(result), expected.detach().numpy(), factor=3)
    (result * result).sum().backward()
    (expected * expected).sum().backward()
    assert_close(host(x.grad), peer_x.grad.numpy(), factor=10)
    for parameter, peer_parameter in zip(layer.parameters(), peer.parameters(), strict=True):
        assert_close(host(parameter.grad), peer_parameter.grad.numpy(), factor=10)

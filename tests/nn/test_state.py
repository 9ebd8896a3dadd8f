"""state_dict and load_state_dict: what is in it, what fits, and that nothing is loaded by half."""

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tinynn import nn


def model():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def values(module):
    return {name: host(tensor) for name, tensor in module.state_dict().items()}


def test_names_and_memory():
    net = model()
    state = net.state_dict()
    assert list(state) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert not any(tensor.requires_grad for tensor in state.values())
    state["0.bias"][...] = 7.0  # shared, as in PyTorch
    assert net[0].bias.tolist() == [7.0] * 4
    assert next(iter(net.state_dict(prefix="net."))) == "net.0.weight"


def test_buffers_that_are_not_persistent_stay_out():
    net = nn.Module()
    net.register_buffer("kept", tn.zeros(1))
    net.register_buffer("left_out", tn.zeros(1), persistent=False)
    net.register_buffer("empty", None)
    assert list(net.state_dict()) == ["kept"]


@pytest.mark.parametrize("kind", [lambda t: t, host], ids=["tensors", "arrays"])
def test_loading_copies_values(kind, device):
    source, target = model(), model().to(device)
    parameters = list(target.parameters())
    state = {name: kind(tensor) for name, tensor in source.state_dict().items()}
    keys = target.load_state_dict(state)
    assert keys.missing_keys == []
    assert keys.unexpected_keys == []
    assert repr(keys) == "<All keys matched successfully>"
    assert all(a is b for a, b in zip(parameters, target.parameters(), strict=True))
    for name, expected in values(source).items():
        assert (values(target)[name] == expected).all()
    source[0].weight.data[...] = 0  # loaded, not shared
    assert values(target)["0.weight"].any()


def test_loading_converts_dtypes():
    net = model()
    state = {name: array.astype(np.float64) + 1 for name, array in values(net).items()}
    net.load_state_dict(state)
    assert net[0].weight.dtype == np.float32
    np.testing.assert_allclose(host(net[0].weight), state["0.weight"], rtol=1e-7)


def test_one_error_names_everything_and_nothing_is_loaded():
    net = model()
    before = values(net)
    state = {
        "0.weight": np.ones((4, 3), np.float32),
        "0.bias": np.ones((5,), np.float32),
        "2.weight": np.ones((4, 2), np.float32),
        "head.weight": np.ones((1, 1), np.float32),
    }
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    assert str(caught.value).splitlines() == [
        "load_state_dict: this state does not fit Sequential:",
        "  wrong shape: 0.bias is (5,), expected (4,)",
        "  wrong shape: 2.weight is (4, 2), expected (2, 4)",
        "  missing: 2.bias (2,)",
        "  unexpected: head.weight (1, 1)",
    ]
    assert all((values(net)[name] == before[name]).all() for name in before)


def test_not_strict_forgives_names_but_no_shapes():
    net = model()
    keys = net.load_state_dict({"0.bias": np.ones(4), "more": np.ones(1)}, strict=False)
    missing, unexpected = keys
    assert missing == ["0.weight", "2.weight", "2.bias"]
    assert unexpected == ["more"]
    assert "missing_keys=" in repr(keys)
    assert net[0].bias.tolist() == [1.0] * 4
    with pytest.raises(RuntimeError, match=r"0\.bias is \(1,\), expected \(4,\)"):
        net.load_state_dict({"0.bias": np.ones(1)}, strict=False)


def test_what_is_no_array_is_named():
    net = nn.Linear(1, 1)
    with pytest.raises(TypeError, match=r"load_state_dict: expected a mapping .*int"):
        net.load_state_dict(3)
    with pytest.raises(RuntimeError, match=r"not a tensor: weight .*list"):
        net.load_state_dict({"weight": [[1.0]], "bias": tn.zeros(1)})
    with pytest.raises(RuntimeError, match=r"not a tensor: weight .*complex"):
        net.load_state_dict({"weight": np.ones((1, 1), complex), "bias": tn.zeros(1)})


def test_tied_parameters_are_saved_under_both_names_and_trained_once():
    net = nn.Module()
    net.embedding = nn.Embedding(5, 3)
    net.output = nn.Linear(3, 5, bias=False)
    net.output.weight = net.embedding.weight
    assert list(net.state_dict()) == ["embedding.weight", "output.weight"]
    assert len(list(net.parameters())) == 1
    net.load_state_dict({name: np.full((5, 3), 2.0) for name in net.state_dict()})
    assert net.output.weight is net.embedding.weight
    assert (host(net.embedding.weight) == 2).all()


def test_loading_into_flat_memory_keeps_the_views():
    net = model()
    optimizer = tn.optim.SGD(net.parameters(), lr=0.1)
    flat = tn.optim.FlatParameters(list(net.parameters()))
    net.load_state_dict({name: np.ones_like(array) for name, array in values(net).items()})
    assert (flat.data == 1).all()
    assert optimizer.param_groups[0]["params"][0] is net[0].weight


def test_a_change_by_loading_is_noticed_by_a_graph():
    net = model()
    loss = net(tn.ones(2, 3)).sum()
    net.load_state_dict({name: array * 2 for name, array in values(net).items()})
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_dropouts_place_in_its_random_numbers_is_saved():
    net = nn.Sequential(nn.Dropout(0.5))
    x = tn.ones(64)
    for _ in range(3):
        net(x)
    state = {name: host(tensor) for name, tensor in net.state_dict().items()}
    expected = net(x).tolist()
    fresh = nn.Sequential(nn.Dropout(0.5))
    fresh.load_state_dict(state)
    assert fresh(x).tolist() == expected
    with pytest.raises(RuntimeError, match=r"0\._extra_state is \(3,\), expected \(2,\)"):
        fresh.load_state_dict({"0._extra_state": np.zeros(3, int)})


def test_a_state_from_elsewhere_may_lack_extra_state():
    net = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.5))
    keys = net.load_state_dict({"0.weight": np.ones((1, 1)), "0.bias": np.ones(1)})
    assert keys.missing_keys == []


def test_states_fit_those_of_torch():
    torch = pytest.importorskip("torch")
    peer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    net = model()
    assert list(net.state_dict()) == list(peer.state_dict())
    net.load_state_dict({name: tensor.numpy() for name, tensor in peer.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    np.testing.assert_allclose(
        host(net(tn.tensor(x))), peer(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6
    )

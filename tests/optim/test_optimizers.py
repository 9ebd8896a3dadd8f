"""SGD and AdamW: their formulas in NumPy and torch's steps, and what an optimizer refuses."""

import copy
import json

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tinynn import nn

SHAPES = [(4, 3), (3,), (), (2, 5)]

SGD = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.1},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01},
    {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"lr": 0.01, "momentum": 0.5, "maximize": True},
]
ADAMW = [
    {},
    {"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.0},
    {"lr": 0.01, "amsgrad": True},
    {"lr": 0.01, "maximize": True, "weight_decay": 0.3},
]
CASES = [("SGD", options) for options in SGD] + [("AdamW", options) for options in ADAMW]


def gradients(seed=0):
    """Gradients that change from step to step, as numbers, for parameters of SHAPES."""
    random = np.random.default_rng(seed)
    while True:
        yield [np.asarray(random.standard_normal(shape)) for shape in SHAPES]


def parameters(dtype="float64", device="cpu"):
    random = np.random.default_rng(42)
    return [
        nn.Parameter(tn.tensor(np.asarray(random.standard_normal(shape), dtype), device=device))
        for shape in SHAPES
    ]


def give(params, arrays):
    """Backward passes whose gradients are the arrays; None for no gradient."""
    for parameter, array in zip(params, arrays, strict=True):
        if array is not None:
            wanted = tn.tensor(array.astype(parameter.dtype), device=parameter.device)
            (parameter * wanted).sum().backward()


def sgd_by_hand(values, grads, memory, step, **options):
    sign = -1 if options.get("maximize") else 1
    decay, momentum = options.get("weight_decay", 0), options.get("momentum", 0)
    results = []
    for index, (p, g) in enumerate(zip(values, grads, strict=True)):
        g = sign * g + decay * p
        if momentum:
            v = g if step == 0 else momentum * memory[index] + (1 - options.get("dampening", 0)) * g
            memory[index] = v
            g = g + momentum * v if options.get("nesterov") else v
        results.append(p - options["lr"] * g)
    return results


def adamw_by_hand(values, grads, memory, step, **options):
    lr, (b1, b2) = options.get("lr", 1e-3), options.get("betas", (0.9, 0.999))
    eps, decay = options.get("eps", 1e-8), options.get("weight_decay", 1e-2)
    results = []
    for index, (p, g) in enumerate(zip(values, grads, strict=True)):
        g = -g if options.get("maximize") else g
        m, v, most = memory.get(index, (0, 0, 0))
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        most = np.maximum(most, v)
        memory[index] = m, v, most
        m_hat = m / (1 - b1 ** (step + 1))
        v_hat = (most if options.get("amsgrad") else v) / (1 - b2 ** (step + 1))
        results.append(p - lr * decay * p - lr * m_hat / (np.sqrt(v_hat) + eps))
    return results


BY_HAND = {"SGD": sgd_by_hand, "AdamW": adamw_by_hand}


@pytest.mark.parametrize(("name", "options"), CASES)
def test_steps_are_the_formula(name, options, device):
    params = parameters(device=device)
    expected, memory = [host(p) for p in params], {}
    optimizer = getattr(tn.optim, name)(params, **options)
    for step, grads in zip(range(20), gradients(), strict=False):
        give(params, grads)
        optimizer.step()
        optimizer.zero_grad()
        expected = BY_HAND[name](expected, grads, memory, step, **options)
    for parameter, value in zip(params, expected, strict=True):
        np.testing.assert_allclose(host(parameter), value, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_fifty_steps_are_torchs(name, options, dtype):
    """With parameters that get no gradient in some steps, and two groups."""
    torch = pytest.importorskip("torch")
    params = parameters(dtype)
    peers = [torch.nn.Parameter(torch.tensor(host(p))) for p in params]

    def groups(tensors):
        return [{"params": tensors[:2]}, {"params": tensors[2:], "lr": 0.02, "weight_decay": 0.2}]

    optimizer = getattr(tn.optim, name)(groups(params), **options)
    peer = getattr(torch.optim, name)(groups(peers), **options)
    for step, grads in zip(range(50), gradients(), strict=False):
        if step % 3 == 1:
            grads[step % 4] = None
        give(params, grads)
        for p, g in zip(peers, grads, strict=True):
            p.grad = None if g is None else torch.tensor(g).to(p.dtype)
        optimizer.step()
        peer.step()
        optimizer.zero_grad()
    tolerance = 1e-10 if dtype == "float64" else 2e-5
    for parameter, p in zip(params, peers, strict=True):
        np.testing.assert_allclose(
            host(parameter), p.detach().numpy(), rtol=tolerance, atol=tolerance
        )


def test_a_state_of_torch_can_be_loaded():
    torch = pytest.importorskip("torch")
    params = parameters()
    peers = [torch.nn.Parameter(torch.tensor(host(p))) for p in params]
    peer = torch.optim.AdamW(peers, lr=0.01)
    for p, g in zip(peers, next(gradients()), strict=True):
        p.grad = torch.tensor(g)
    peer.step()
    state = copy.deepcopy(peer.state_dict())
    for entry in state["state"].values():
        for key, value in entry.items():
            entry[key] = value.numpy()
    optimizer = tn.optim.AdamW(params)
    optimizer.load_state_dict(state)
    for parameter, p in zip(params, peers, strict=True):
        parameter.data[...] = p.detach().numpy()
    give(params, next(gradients(1)))
    for p, g in zip(peers, next(gradients(1)), strict=True):
        p.grad = torch.tensor(g)
    optimizer.step()
    peer.step()
    for parameter, p in zip(params, peers, strict=True):
        np.testing.assert_allclose(host(parameter), p.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_going_on_from_a_saved_state_is_going_on(name, options):
    """Bit for bit, and with the numbers sent through JSON."""
    supply = gradients()
    params = parameters()
    optimizer = getattr(tn.optim, name)(params, **options)
    for _ in range(3):
        give(params, next(supply))
        optimizer.step()
        optimizer.zero_grad()
    saved = optimizer.state_dict()
    arrays = {
        (number, key): host(value)
        for number, state in saved["state"].items()
        for key, value in state.items()
        if isinstance(value, tn.Tensor)
    }
    plain = json.loads(json.dumps(saved, default=lambda tensor: None))
    for (number, key), array in arrays.items():
        plain["state"][str(number)][key] = array
    twins = [nn.Parameter(tn.tensor(host(p))) for p in params]
    twin = getattr(tn.optim, name)(twins, lr=5.0)
    twin.load_state_dict(plain)
    for _ in range(3):
        grads = next(supply)
        for some, one in ((params, optimizer), (twins, twin)):
            give(some, grads)
            one.step()
            one.zero_grad()
    assert twin.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    assert all((host(a) == host(b)).all() for a, b in zip(params, twins, strict=True))


def test_a_parameter_without_gradient_is_left_alone():
    params = parameters()
    optimizer = tn.optim.AdamW(params, lr=0.1, weight_decay=0.5)
    before = [host(p) for p in params]
    grads = next(gradients())
    grads[1] = None
    give(params, grads)
    optimizer.step()
    changed = [not (host(p) == b).all() for p, b in zip(params, before, strict=True)]
    assert changed == [True, False, True, True]
    assert params[1] not in optimizer.state
    assert optimizer.state[params[0]]["step"] == 1


def test_what_is_remembered_is_found_by_parameter():
    params = parameters()
    optimizer = tn.optim.SGD(params, lr=0.1, momentum=0.9)
    assert optimizer.state == {}
    grads = next(gradients())
    give(params, grads)
    optimizer.step()
    assert (host(optimizer.state[params[3]]["momentum_buffer"]) == grads[3]).all()


def test_a_closure_is_called_with_recording_on():
    w = nn.Parameter(tn.tensor([3.0]))
    optimizer = tn.optim.SGD([w], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with tn.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert w.tolist() == [0.0]
    assert optimizer.step() is None


def test_zeroing():
    w = nn.Parameter(tn.ones(2))
    optimizer = tn.optim.SGD([w], lr=1.0)
    w.sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0.0, 0.0]
    optimizer.step()
    assert w.tolist() == [1.0, 1.0]
    optimizer.zero_grad()
    assert w.grad is None


def test_a_step_is_a_change_in_place_for_a_graph():
    w = nn.Parameter(tn.ones(2))
    optimizer = tn.optim.SGD([w], lr=1.0)
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_a_group_added_later_keeps_what_is_remembered():
    first, second = nn.Parameter(tn.zeros(1)), nn.Parameter(tn.zeros(1))
    optimizer = tn.optim.SGD([first], lr=1.0, momentum=0.5)

    def step():
        optimizer.zero_grad()
        (first + second).sum().backward()
        optimizer.step()

    step()
    optimizer.add_param_group({"params": second, "lr": 10.0})
    step()
    assert first.tolist() == [-2.5]  # velocities 1 and 1.5
    assert second.tolist() == [-10.0]
    assert [group["momentum"] for group in optimizer.param_groups] == [0.5, 0.5]


def test_momentum_may_be_switched_on_later():
    """As OneCycleLR does to an SGD without momentum."""
    w = nn.Parameter(tn.zeros(1))
    optimizer = tn.optim.SGD([w], lr=1.0)
    for momentum in (0.0, 0.5, 0.5):
        optimizer.param_groups[0]["momentum"] = momentum
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()
    assert w.tolist() == [-3.5]  # 1, then velocities 1 and 1.5


def test_repr():
    text = repr(tn.optim.SGD([nn.Parameter(tn.zeros(1))], lr=0.25))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0.0\n    lr: 0.25\n")


def computed():
    return nn.Parameter(tn.ones(2)) * 2


W = nn.Parameter(tn.ones(2))


@pytest.mark.parametrize(
    ("error", "message", "make"),
    [
        (TypeError, "must be an iterable of tensors or dicts", lambda: tn.optim.SGD(W)),
        (ValueError, "the list of parameters is empty", lambda: tn.optim.SGD([])),
        (TypeError, "can optimize tensors only, got str", lambda: tn.optim.SGD(["w"])),
        (ValueError, r"shape \(2,\) that was computed", lambda: tn.optim.SGD([computed()])),
        (ValueError, r"shape \(2,\) is given twice", lambda: tn.optim.SGD([W, W])),
        (
            ValueError,
            "given twice",
            lambda: tn.optim.SGD([{"params": [W]}, {"params": [W]}]),
        ),
        (TypeError, "a dict with tensors under 'params'", lambda: tn.optim.SGD([{"lr": 1}])),
        (ValueError, "SGD: lr must be zero or positive, got -1", lambda: tn.optim.SGD([W], -1)),
        (ValueError, "lr must be .* got nan", lambda: tn.optim.SGD([W], float("nan"))),
        (ValueError, "momentum must be .* got -1", lambda: tn.optim.SGD([W], momentum=-1)),
        (ValueError, "weight_decay must", lambda: tn.optim.SGD([W], weight_decay=-1)),
        (ValueError, "nesterov requires", lambda: tn.optim.SGD([W], nesterov=True)),
        (ValueError, "eps must", lambda: tn.optim.AdamW([W], eps=-1)),
        (
            ValueError,
            r"betas\[1\] must be in \[0, 1\), got 1",
            lambda: tn.optim.AdamW([W], betas=(0.9, 1)),
        ),
        (
            ValueError,
            "lr must",
            lambda: tn.optim.SGD([{"params": [W], "lr": -1}], lr=1),
        ),
    ],
)
def test_refusals(error, message, make):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("state"), "expected the keys state and param_groups, got param_groups"),
        (lambda s: s["param_groups"].pop(), r"groups of \[\] parameters, this optimizer of \[2\]"),
        (lambda s: s["param_groups"][0]["params"].pop(), r"groups of \[1\] parameters"),
        (
            lambda s: s["state"][1].update(exp_avg=np.zeros(3)),
            r"exp_avg of parameter 1 is \(3,\), expected \(2,\)",
        ),
        (lambda s: s["state"][1].pop("exp_avg_sq"), "parameter 1 has exp_avg, step; expected"),
        (lambda s: s["state"][1].update(more=np.zeros(2)), "more, step; expected exp_avg, "),
        (lambda s: s["state"].update({7: s["state"][0]}), "there is no parameter 7"),
    ],
)
def test_states_that_do_not_fit_change_nothing(change, message):
    params = [nn.Parameter(tn.ones(2)), nn.Parameter(tn.ones(2))]
    optimizer = tn.optim.AdamW(params)
    (params[0] * params[1]).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    change(state)
    state["param_groups"] and state["param_groups"][0].update(lr=7.0)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 1e-3
    assert {entry["step"] for entry in optimizer.state.values()} == {1}

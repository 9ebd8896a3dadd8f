"""tn.compile(model): a plan under no_grad, the model itself where it is trained."""

from __future__ import annotations

import numpy as np
import pytest

import tinynn as tn
from tests.capture.twice import batches_of, bits, in_bits
from tinynn.nn import functional as F


def network():
    tn.manual_seed(1)
    return tn.nn.Sequential(
        tn.nn.Conv2d(1, 4, 3, padding=1),
        tn.nn.ReLU(),
        tn.nn.MaxPool2d(2),
        tn.nn.Flatten(),
        tn.nn.Dropout(0.3),
        tn.nn.Linear(64, 5),
    )


def images(count, rows=6):
    return [tn.tensor(x) for (x,) in batches_of(count, (rows, 1, 8, 8))]


def test_the_model_without_gradients():
    model = network().eval()
    compiled = tn.compile(model, fuse=False)
    with tn.no_grad():
        for x in [*images(5), *images(3, 2), *images(2)]:
            assert bits(compiled(x).data) == bits(model(x).data)
    assert len(compiled.plans) == 2
    assert sum(plan.replays for plan in compiled.plans) == 8


def test_parameters_that_are_trained_between_calls():
    model = network().eval()
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
    compiled = tn.compile(model, fuse=False)
    for x in images(6):
        model(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        with tn.no_grad():
            assert bits(compiled(x).data) == bits(model(x).data)
    assert len(compiled.plans) == 1


@pytest.mark.parametrize("is_training", [True, False])
def test_with_gradients_it_is_the_model_itself(is_training):
    mine, its = network().train(is_training), network().train(is_training)
    compiled = tn.compile(mine)
    for x in images(4):
        for model, forward in ((mine, compiled), (its, its)):
            F.cross_entropy(forward(x), tn.tensor([0, 1, 2, 3, 4, 0])).backward()
            assert all(parameter.grad is not None for parameter in model.parameters())
        assert in_bits([p.grad for p in mine.parameters()]) == in_bits(
            [p.grad for p in its.parameters()]
        )
        assert in_bits(mine.state_dict()) == in_bits(its.state_dict())
    assert compiled.plans == []


def test_inference_and_training_by_turns():
    mine, its = network(), network()
    compiled = tn.compile(mine, fuse=False)
    for number, x in enumerate(images(8)):
        mine.train(number % 3 == 0)
        its.train(number % 3 == 0)
        if number % 2:
            compiled(x).sum().backward()
            its(x).sum().backward()
        else:
            with tn.no_grad():
                assert bits(compiled(x).data) == bits(its(x).data)
        assert in_bits(mine.state_dict()) == in_bits(its.state_dict())


def test_a_frozen_model_needs_no_gradients():
    model = network().eval()
    model.requires_grad_(False)
    compiled = tn.compile(model, fuse=False)
    for x in images(4):
        assert bits(compiled(x).data) == bits(model(x).data)
    assert len(compiled.plans) == 1


def test_a_compiled_model_is_a_part_of_a_step():
    """A step that is not compiled itself."""
    mine, its = network().eval(), network().eval()
    compiled = tn.compile(mine)
    optimizers = [tn.optim.AdamW(model.parameters()) for model in (mine, its)]
    for x in images(3):
        losses = []
        for forward, optimizer in zip((compiled, its), optimizers, strict=True):
            loss = forward(x).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        assert losses[0] == losses[1]


def test_results_do_not_require_grad():
    model = network().eval()
    compiled = tn.compile(model)
    with tn.no_grad():
        (x,) = images(1)
        for _ in range(3):
            result = compiled(x)
            assert (result.requires_grad, result.is_leaf) == (False, True)
    np.testing.assert_allclose(result.data, model(x).data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["cpu", "fake"])
def test_models_on_other_devices(kind):
    model = tn.nn.Sequential(tn.nn.Linear(6, 8), tn.nn.GELU(), tn.nn.LayerNorm(8)).to(kind)
    compiled = tn.compile(model, fuse=False)
    with tn.no_grad():
        for (x,) in batches_of(3, (5, 6)):
            x = tn.tensor(x, device=kind)
            found, expected = compiled(x), model(x)
            assert found.device == expected.device
            assert bits(found.to("cpu").data) == bits(expected.to("cpu").data)
    assert len(compiled.plans) == 1

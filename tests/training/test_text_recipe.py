"""The recipe for a text: schedule, groups, and that it learns what is in a text."""

import numpy as np
import pytest

import tinynn as tn
from tinynn.data import TokenBatches, TokenWindows
from tinynn.training.recipe import RecipeError
from tinynn.training.text_recipe import TextRecipe

TINY = TextRecipe(layers=1, heads=1, width=32, context=16, steps=60, lr=0.01, warmup=5)


def test_rates_rise_and_fall():
    rates = [TINY.rate(step) for step in range(61)]
    assert rates[:5] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] == pytest.approx(0.1)
    assert TextRecipe(warmup=0, steps=1).rate(0) == 1.0


def test_only_matrices_decay():
    model = TINY.make_model(20)
    matrices, others = TINY.make_optimizer(model).param_groups
    assert {p.ndim for p in matrices["params"]} == {2}
    assert {p.ndim for p in others["params"]} == {1}
    assert (matrices["weight_decay"], others["weight_decay"]) == (0.1, 0.0)


def test_it_comes_back_from_a_dict():
    assert TextRecipe.from_dict(TINY.to_dict()) == TINY
    with pytest.raises(ValueError, match="a recipe is an object with the keys"):
        TextRecipe.from_dict({"epochs": 3})
    with pytest.raises(RecipeError, match="steps is '9'"):
        TextRecipe.from_dict({"steps": "9"})


@pytest.mark.parametrize("compiled", [True, False])
def test_it_learns_a_sequence(compiled):
    tokens = np.tile(np.random.default_rng(0).permutation(20), 50)
    tn.manual_seed(0)
    model = TINY.make_model(20)
    trainer = TINY.make_trainer(model, compile=compiled, progress=None)
    batches = TokenBatches(tokens, 16, 12, TINY.steps)
    (row,) = trainer.fit(batches, 1, TokenWindows(tokens, 16, 20, 10)).history
    assert row["validation_loss"] < 0.5 < 2.0 < np.log(20)


def test_accumulated_batches_are_one_large_one():
    """A step of two batches of 6 is that of one of 12 with the same windows."""
    tokens = np.arange(1000) * 7 % 20
    small = TokenBatches(tokens, 16, 6, 2)
    parts = [small.batch(0), small.batch(1)]
    large = [tuple(tn.cat([part[place] for part in parts]) for place in (0, 1))]
    found = []
    for recipe, loader in (
        (TINY, large),
        (TextRecipe(**TINY.to_dict() | {"accumulate": 2}), parts),
    ):
        tn.manual_seed(0)
        model = recipe.make_model(20)
        recipe.make_trainer(model, progress=None).fit(loader, 3)
        found.append([parameter.numpy() for parameter in model.state_dict().values()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)

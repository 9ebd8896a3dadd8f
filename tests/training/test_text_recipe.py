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


class Stopped(Exception):
    pass


@pytest.mark.parametrize("last", [14, 20, 21])
def test_a_last_stretch_that_is_shorter_goes_on_after_a_break(last, tmp_path):
    """23 steps of 2 batches, judged after 10, 20 and 23, and broken off behind one of them."""
    tokens = np.random.default_rng(0).integers(0, 20, 400)
    judges = TokenWindows(tokens, 16, 20, 10)
    values = TINY.to_dict() | {"steps": 23, "accumulate": 2, "dropout": 0.1, "evaluate_every": 10}
    recipe = TextRecipe(**values)

    def fit(folder, stop=None, resume=False):
        tn.manual_seed(1)
        model, seen = recipe.make_model(20), []

        def count(*_):
            seen.append(1)
            if stop is not None and len(seen) > 2 * stop + 1:
                raise Stopped

        trainer = recipe.make_trainer(
            model, folder=folder, checkpoint_every=1, after_batch=count, progress=None
        )
        batches = recipe.make_batches(tokens)
        rows = trainer.fit(batches, recipe.evaluations, judges, resume=resume).history
        parameters = [array.numpy() for array in model.state_dict().values()]
        losses = [(row["step"], row["train_loss"], row["validation_loss"]) for row in rows]
        return len(seen), losses, parameters

    batches, losses, parameters = fit(tmp_path / "whole")
    assert batches == 46
    assert [step for step, *_ in losses] == [10, 20, 23]
    with pytest.raises(Stopped):
        fit(tmp_path / "broken", stop=last)
    rest = fit(tmp_path / "broken", resume=True)
    assert rest[:2] == (46 - 2 * last, losses)
    for one, other in zip(rest[2], parameters, strict=True):
        np.testing.assert_array_equal(one, other)


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

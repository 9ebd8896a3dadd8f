"""A recipe: what it makes, and how it is read back."""

import numpy as np
import pytest

import tinynn as tn
from tests.training.drawn_digits import drawn_dataset
from tinynn.training.recipe import Recipe, RecipeError


def test_a_recipe_comes_back_from_json():
    recipe = Recipe(hidden=(), label_smoothing=0.1, activation="identity", augment=True)
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_what_an_earlier_version_did_not_know_has_its_default():
    stored = Recipe(lr=0.3).to_dict()
    del stored["label_smoothing"]
    assert Recipe.from_dict(stored) == Recipe(lr=0.3)


@pytest.mark.parametrize("stored", [{"colour": "red"}, [], None, {"lr": -1}])
def test_damaged_recipes_are_refused(stored):
    with pytest.raises((ValueError, RecipeError)):
        Recipe.from_dict(stored)


def test_labels_are_smoothed_in_training():
    recipe = Recipe(label_smoothing=0.2)
    model = tn.models.MLP([4, 3])
    loss = recipe.make_trainer(model, steps_per_epoch=1).loss
    output = tn.tensor([[2.0, -1.0, 0.5]], dtype=tn.float64)
    logarithms = np.log(np.exp(output.numpy()) / np.exp(output.numpy()).sum())
    share = 0.2 / 3
    expected = -((0.8 + share) * logarithms[0, 1] + share * (logarithms[0, 0] + logarithms[0, 2]))
    assert loss(output, tn.tensor([1])).item() == pytest.approx(expected)


def test_batches_come_in_a_new_order_in_each_epoch():
    loader = Recipe(batch_size=50).make_loader(drawn_dataset(200))
    first, second = (
        np.concatenate([labels.numpy() for _, labels in loader.epoch(epoch)]) for epoch in (0, 1)
    )
    assert first.tolist() != second.tolist()
    assert sorted(first) == sorted(second) == sorted(drawn_dataset(200).labels)


def test_without_activations_the_network_is_linear():
    tn.manual_seed(0)
    model = Recipe(hidden=(8, 8), activation="identity").make_model(5, 3)
    x, y = tn.randn(4, 5), tn.randn(4, 5)
    with tn.no_grad():
        middle = (model(x) + model(y)) / 2
        np.testing.assert_allclose(model((x + y) / 2).numpy(), middle.numpy(), atol=1e-6)

"""Training a Transformer with gradient checkpointing: the same numbers, in less memory."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import tinynn as tn
from tinynn.autograd import Tensor
from tinynn.generation import generate
from tinynn.models import Transformer, TransformerConfig
from tinynn.nn import functional as F

SIZES = {"vocab_size": 50, "hidden_size": 64, "num_layers": 3, "num_heads": 2, "dropout": 0.1}
FAMILIES = {
    "gpt2": {"gated": False, "norm": "layer", "learned_positions": True, "tied": True},
    "llama": {"num_kv_heads": 1, "qk_norm": True, "window": 5, "window_from": 1},
}


def model_of(family, checkpointed):
    tn.manual_seed(0)
    model = Transformer(TransformerConfig(**SIZES, **FAMILIES[family]))
    model.gradient_checkpointing = checkpointed
    return model


def trained(family, checkpointed, compiled):
    """The losses of five steps, and the state behind them."""
    model = model_of(family, checkpointed)
    optimizer = tn.optim.AdamW(model.parameters(), lr=1e-2)

    def step(tokens, targets):
        loss = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    step = tn.compile(step) if compiled else step
    texts = np.random.default_rng(0).integers(0, 50, (5, 2, 13))
    losses = [step(tn.tensor(text[:, :-1]), tn.tensor(text[:, 1:])).item() for text in texts]
    return losses, {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("family", FAMILIES)
def test_losses_and_weights_are_the_same_bits(family, compiled):
    assert trained(family, True, compiled) == trained(family, False, compiled)


def test_only_the_inputs_of_layers_are_kept():
    model, alive, inputs = model_of("gpt2", True), [], []
    for module in model.layers.modules():
        kept = inputs if module in set(model.layers) else alive

        def note(module, given, result, kept=kept):
            if isinstance(result, Tensor):
                kept.append(weakref.ref(result.data))

        module.register_forward_hook(note)
    gc.disable()
    try:
        scores = model(tn.tensor([[3, 1, 4, 1, 5]]))
        assert sum(reference() is not None for reference in inputs) == len(model.layers)
        assert len(alive) > 20
        assert not any(reference() is not None for reference in alive)
        scores.sum().backward()
    finally:
        gc.enable()


def test_it_changes_nothing_in_generation():
    written = []
    for checkpointed in (False, True):
        model = model_of("gpt2", checkpointed)
        written.append(generate(model, [1, 2, 3], max_new_tokens=8).token_ids)
    assert written[0] == written[1]

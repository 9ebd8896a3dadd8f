"""The training of `train_gpt` in PyTorch, eager, as a user would write it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.gpt_in_torch import GPT, loss_of
from benchmarks.train_gpt import Work
from tinynn.models import Transformer
from tinynn.training.text_recipe import BETAS, TextRecipe


def gpt_of(model: Transformer) -> GPT:
    """`gpt_in_torch` with GPT-2's activation and tied head, and the weights of tinynn's model."""
    config = model.config
    gpt = GPT(
        config.vocab_size,
        config.max_positions,
        config.hidden_size,
        config.num_layers,
        config.num_heads,
    )
    for block in gpt.blocks:
        block.mlp[1] = nn.GELU(approximate="tanh")
    gpt.head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
    gpt.head.weight = gpt.tokens.weight
    gpt.load_state_dict(_weights(model))
    return gpt


def _weights(model: Transformer) -> dict[str, torch.Tensor]:
    mine = {name: torch.tensor(array.numpy()) for name, array in model.state_dict().items()}
    weights = {
        "tokens.weight": mine["embed_tokens.weight"],
        "positions.weight": mine["embed_positions.weight"],
        "head.weight": mine["embed_tokens.weight"],
    }
    for kind in ("weight", "bias"):
        weights[f"norm.{kind}"] = mine[f"norm.{kind}"]
        for number in range(model.config.num_layers):
            theirs, ours = f"blocks.{number}", f"layers.{number}"
            qkv = [mine[f"{ours}.self_attn.{name}_proj.{kind}"] for name in "qkv"]
            weights[f"{theirs}.attention.qkv.{kind}"] = torch.cat(qkv)
            for their, our in (
                ("attention_norm", "input_layernorm"),
                ("attention.out", "self_attn.o_proj"),
                ("mlp_norm", "post_attention_layernorm"),
                ("mlp.0", "mlp.up_proj"),
                ("mlp.2", "mlp.down_proj"),
            ):
                weights[f"{theirs}.{their}.{kind}"] = mine[f"{ours}.{our}.{kind}"]
    return weights


def optimizer_of(recipe: TextRecipe, model: nn.Module) -> torch.optim.Optimizer:
    """The fused one, PyTorch's fastest."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, recipe.lr, BETAS, weight_decay=recipe.weight_decay, fused=True)


def train(work: Work, finish_step: Callable[[], None]) -> float:
    """Trains, calls finish_step after each step, and gives the loss on the validation text."""
    recipe, model = work.recipe, gpt_of(work.model)
    optimizer = optimizer_of(recipe, model)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.rate)
    for number in range(recipe.steps):
        inputs, targets = (torch.from_numpy(part.numpy()) for part in work.batches.batch(number))
        loss_of(model, inputs, targets).backward()
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        finish_step()
    return judged(model, work)


@torch.no_grad()
def judged(model: GPT, work: Work) -> float:
    """The mean loss over the validation windows."""
    total, count = 0.0, 0
    for inputs, targets in work.judges:
        given, expected = (torch.from_numpy(part.numpy()) for part in (inputs, targets))
        total += loss_of(model, given, expected).item() * len(given)
        count += len(given)
    return total / count

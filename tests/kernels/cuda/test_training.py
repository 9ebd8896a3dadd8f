"""A network trained with CUDA kernels, on the processor, learns what it learns with CPU kernels."""

import numpy as np
import pytest

import tinynn as tn

STEPS = 4
EXPECTED = {
    "finish",
    "finish_backward",
    "normalize",
    "normalize_backward",
    "normalize_backward_columns",
    "dropout",
    "look_at_targets",
    "loss_and_gradient",
    "reduce_losses",
}


def losses(optimizer, compiled):
    tn.manual_seed(1)
    model = tn.nn.Sequential(
        tn.nn.Linear(12, 32),
        tn.nn.GELU(),
        tn.nn.LayerNorm(32),
        tn.nn.Dropout(0.2),
        tn.nn.Linear(32, 8),
        tn.nn.ReLU(),
        tn.nn.RMSNorm(8),
        tn.nn.Linear(8, 5),
    )
    steps = {
        "sgd": lambda: tn.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True),
        "adamw": lambda: tn.optim.AdamW(model.parameters(), lr=0.05),
    }[optimizer]()
    loss_of = tn.nn.CrossEntropyLoss(label_smoothing=0.1)

    def step(x, y):
        loss = loss_of(model(x), y)
        steps.zero_grad()
        loss.backward()
        steps.step()
        return loss

    step = tn.compile(step) if compiled else step
    rng = np.random.default_rng(0)
    found = []
    for _ in range(STEPS):
        x = tn.tensor(rng.standard_normal((9, 12)).astype(np.float32))
        y = tn.tensor(rng.integers(0, 5, 9))
        found.append(step(x, y).item())
    return found


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_losses_are_the_same(optimizer, compiled, request):
    expected = losses(optimizer, compiled=False)
    launched = request.getfixturevalue("with_cuda_kernels")
    found = losses(optimizer, compiled)
    np.testing.assert_allclose(found, expected, rtol=2e-5)
    assert launched >= EXPECTED | {f"{optimizer}_step"}

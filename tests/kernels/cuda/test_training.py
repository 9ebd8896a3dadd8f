"""A network trained with CUDA kernels, on the processor, learns what it learns with CPU kernels."""

import numpy as np
import pytest

import tinynn as tn
from tinynn.backend.devices import NUMPY
from tinynn.backend.kernel_table import KernelTable, observe_kernels
from tinynn.capture.traced import traced_type
from tinynn.kernels.cuda import arrays, compiler

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


@pytest.fixture
def with_cuda_kernels(cuda_on_cpu, monkeypatch):
    """NumPy's backend has the table of CuPy; says which kernels were launched."""
    launched = set()
    load = compiler.load

    def noted(file, instantiation, *more):
        launched.add(instantiation.partition("<")[0])
        return load(file, instantiation, *more)

    def address(array):
        array = getattr(array, "array", array)  # of one that is being recorded
        return array.__array_interface__["data"][0]

    monkeypatch.setattr(compiler, "load", noted)
    monkeypatch.setattr(arrays, "address", address)
    monkeypatch.setattr(NUMPY, "_kernels", KernelTable("cuda"))
    traced_type.cache_clear()  # it keeps the table of whoever compiled first
    yield launched
    observe_kernels(None)
    traced_type.cache_clear()


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

"""What a replay could not repeat is refused, with the line that asks for it; nothing is changed."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinynn as tn
from tests.capture.twice import Training, in_bits
from tinynn.capture import CaptureError
from tinynn.nn import functional as F

LINE = r"at .*test_refusals\.py:\d+ \(.+\)"


def training():
    """A step after which a function of the loss is called: it may ask for what is refused."""
    tn.manual_seed(5)
    model = tn.nn.Sequential(tn.nn.Dropout(0.2), tn.nn.Linear(6, 4), tn.nn.Linear(4, 3))
    optimizer = tn.optim.AdamW(model.parameters(), lr=0.1)
    scheduler = tn.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    made = Training(None, [model], [optimizer], [scheduler])

    def step(x, labels):
        output = model(x + tn.randn(6))
        loss = F.cross_entropy(output, labels)
        loss.backward()
        tn.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        scheduler.step()
        x += 1
        value = made.ask(loss, output)
        optimizer.zero_grad()
        return loss, value

    made.step, made.ask = step, lambda loss, output: None
    return made


def batch():
    random = np.random.default_rng(0)
    x = tn.Tensor(random.standard_normal((5, 6)).astype(np.float32))
    return x, tn.Tensor(random.integers(0, 3, 5))


READS = {
    ".item()": lambda loss, output: loss.item(),
    ".numpy()": lambda loss, output: output.detach().numpy(),
    ".tolist()": lambda loss, output: output.tolist(),
    "bool(tensor)": lambda loss, output: bool(loss),
    "bool(tensor) ": lambda loss, output: 1 if loss > 1 else 2,
    "bool(tensor)  ": lambda loss, output: not (output > 0).all(),
    "float(tensor)": lambda loss, output: float(loss),
    "int(tensor)": lambda loss, output: int(loss),
    "printing a tensor": lambda loss, output: print(loss),
    "printing a tensor ": lambda loss, output: repr(output),
    "formatting a tensor": lambda loss, output: f"{loss:.3f}",
    "formatting a tensor ": lambda loss, output: f"{loss}",
    "np.asarray(tensor)": lambda loss, output: np.asarray(output.detach()),
    "np.asarray(tensor) ": lambda loss, output: np.array(output.detach()),
    "a tensor as an index": lambda loss, output: [1, 2, 3][output.argmax()],
    "a tensor as an index ": lambda loss, output: output[output.argmax() : 2],
}
SHAPES = {
    "nonzero": lambda loss, output: (output > 0).nonzero(),
    "an array indexed by bools": lambda loss, output: output.detach()[output > 0],
    "an array indexed by bools ": lambda loss, output: output[:, tn.tensor([True, False, True])],
}


@pytest.mark.parametrize("asked", READS)
def test_reading_a_value(asked):
    error = refused(READS[asked])
    assert str(error).startswith(f"{asked.strip()} while a step is recorded, at ")
    assert "Return the tensor and read it after the call" in str(error)
    assert "tn.where" in str(error)


@pytest.mark.parametrize("asked", SHAPES)
def test_shapes_that_depend_on_values(asked):
    error = refused(SHAPES[asked])
    assert "the shape of the result depends on values" in str(error)
    assert "tn.where" in str(error)


def refused(ask):
    """The error of a step that asks for something, after a look at what is left of it; it names the
    line of the lambda."""
    made, x_and_labels = training(), batch()
    made.ask = ask
    step = tn.compile(made.step, fuse=False)
    before = in_bits([made.state(), x_and_labels])
    for _ in range(2):
        with pytest.raises(CaptureError, match=LINE) as caught:
            step(*x_and_labels)
        assert in_bits([made.state(), x_and_labels]) == before
        assert f"test_refusals.py:{ask.__code__.co_firstlineno} " in str(caught.value)
    assert step.plans == []
    works_afterwards(made, step)
    return caught.value


def works_afterwards(made, step):
    """The function itself goes on as if nothing had been, and so does the compiled one once it
    asks for nothing that is refused."""
    other = training()
    other.ask = made.ask = lambda loss, output: loss.detach() * 2
    found = results([made.step, step, step, made.step])
    assert found == results([other.step] * 4)
    assert in_bits(made.state()) == in_bits(other.state())


def results(functions):
    """What functions return, called one after the other from one seed."""
    tn.manual_seed(9)
    return [in_bits(function(*batch())) for function in functions]


class Failure(Exception):
    pass


def fail(*arguments):
    raise Failure


@pytest.mark.parametrize("error", [Failure, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("fuse", [True, False])
def test_an_error_of_the_function_itself(error, fuse):
    def ask(loss, output):
        raise error("on the way")

    made, x_and_labels = training(), batch()
    made.ask = ask
    step = tn.compile(made.step, fuse=fuse)
    before = in_bits([made.state(), x_and_labels])
    with pytest.raises(error, match="on the way"):
        step(*x_and_labels)
    assert in_bits([made.state(), x_and_labels]) == before
    works_afterwards(made, step)


def test_an_error_after_gradients_were_there():
    made = training()
    made.step(*batch())
    for parameter in made.models[0].parameters():
        parameter.grad = tn.full(parameter.shape, 2.0)
    kept = [p.grad for p in made.models[0].parameters()]
    made.ask = fail
    before = in_bits(made.state())
    with pytest.raises(Failure):
        tn.compile(made.step)(*batch())
    assert in_bits(made.state()) == before
    assert all(p.grad is k for p, k in zip(made.models[0].parameters(), kept, strict=True))


def test_an_error_when_writing_to_what_the_function_refers_to():
    table, x = tn.zeros(3, 4), tn.ones(4)

    def step(x):
        table[1] = x
        table[tn.tensor([0, 2])] = x * 2
        table.mul_(3)
        table[0, 0] = 7
        raise Failure

    with pytest.raises(Failure):
        tn.compile(step)(x)
    assert not table.data.any()


def test_an_error_when_the_second_plan_is_recorded():
    made, other = training(), training()
    step = tn.compile(made.step, fuse=False)
    assert results([step] * 3) == results([other.step] * 3)
    x, labels = batch()
    made.ask = fail
    before = in_bits(made.state())
    with pytest.raises(Failure):
        step(x[:2], labels[:2])
    assert in_bits(made.state()) == before
    other.ask = made.ask = lambda loss, output: loss.detach() + 1
    assert results([step] * 3) == results([other.step] * 3)
    assert in_bits(made.state()) == in_bits(other.state())


KEPT = []


@pytest.mark.parametrize(
    "use",
    [
        lambda tensor: tensor + 1,
        lambda tensor: repr(tensor),
        lambda tensor: tensor.sum(),
        lambda tensor: tensor[0],
        lambda tensor: tn.stack([tensor, tensor]),
        lambda tensor: np.asarray(tensor.data),
        lambda tensor: tensor.tolist(),
    ],
)
def test_a_tensor_that_was_kept_is_refused_later(use):
    KEPT.clear()

    def function(x):
        KEPT.append(x * 2)
        return x * 3

    step = tn.compile(function)
    assert step(tn.ones(2)).tolist() == [3.0, 3.0]
    with pytest.raises(CaptureError, match=r"made in an earlier call.*Return it from") as caught:
        use(KEPT[0])
    assert re.search(LINE, str(caught.value))


def test_an_argument_that_requires_grad():
    step = tn.compile(lambda x: x * 2)
    with pytest.raises(CaptureError, match=r"argument of shape \(3,\) requires grad.*detached"):
        step(tn.ones(3, requires_grad=True))
    with pytest.raises(CaptureError, match="requires grad"):
        step(tn.ones(3, requires_grad=True) * 2)
    assert step(tn.ones(3)).tolist() == [2.0] * 3


def test_a_loss_without_its_backward_pass():
    made = training()
    model = made.models[0]
    step = tn.compile(lambda x: model(x).sum())
    before = in_bits(made.state())
    with pytest.raises(CaptureError, match=r"waits for its backward pass.*call backward within"):
        step(batch()[0])
    assert in_bits(made.state()) == before
    model.eval()
    with tn.no_grad():
        assert in_bits(step(batch()[0])) == in_bits(model(batch()[0]).sum())


@pytest.mark.parametrize("value", [np.ones(3), bytearray(3), {1, 2}])
def test_an_argument_whose_changes_would_go_unseen(value):
    step = tn.compile(lambda x: x)
    with pytest.raises(
        CaptureError, match=f"an argument is a {type(value).__name__}.*pass tensors"
    ):
        step(value)


def test_a_compiled_function_within_another_one():
    inner = tn.compile(lambda x: x * 2)
    outer = tn.compile(lambda x: inner(x) + 1)
    with pytest.raises(CaptureError, match="compile the outer one alone"):
        outer(tn.ones(3))
    assert inner(tn.ones(3)).tolist() == [2.0] * 3


def test_what_cannot_be_compiled():
    with pytest.raises(TypeError, match="expected a function or a module, got int"):
        tn.compile(3)
    with pytest.raises(ValueError, match="check_every must be at least 1, got 0"):
        tn.compile(lambda x: x, check_every=0)

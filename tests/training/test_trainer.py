"""The fit loop against training by hand, and what it does when training goes well or badly."""

import math
import os
import signal

import numpy as np
import pytest

import tinynn as tn
from tests.training.drawn_digits import drawn_dataset
from tinynn.training import (
    Metric,
    Trainer,
    TrainingDiverged,
    TrainingInterrupted,
    TrainingWarning,
    accuracy,
    evaluate,
    load_checkpoint,
    read_rows,
)


def make_batches(count=6, size=8, seed=0):
    """Batches of a noisy linear problem; the last one is smaller than the others."""
    random = np.random.default_rng(seed)
    inputs = [random.normal(size=(size, 3)) for _ in range(count - 1)]
    inputs.append(random.normal(size=(size // 2, 3)))
    return [(x, x @ [1.0, -2.0, 0.5] + 3 + 0.1 * random.normal(size=len(x))) for x in inputs]


def as_tensors(batches):
    return [(tn.tensor(x), tn.tensor(y[:, None])) for x, y in batches]


def linear_model():
    model = tn.nn.Linear(3, 1).to(tn.float64)
    with tn.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model


def make_trainer(model, lr=0.1, optimizer=tn.optim.SGD, **options):
    options = {"progress": None} | options
    return Trainer(model, tn.nn.MSELoss(), optimizer(model.parameters(), lr=lr), **options)


def train_by_hand(batches, epochs, lr=0.1):
    """Gradient descent on mean squared error, in NumPy: weights, and each epoch's mean loss."""
    weights, losses = np.zeros(4), []
    for _ in range(epochs):
        total = 0.0
        for x, y in batches:
            design = np.hstack([x, np.ones((len(x), 1))])
            error = design @ weights - y
            total += (error**2).sum()
            weights -= lr * 2 * design.T @ error / len(x)
        losses.append(total / sum(len(x) for x, _ in batches))
    return weights, losses


def weights_of(model):
    return np.concatenate([model.weight.tolist()[0], model.bias.tolist()])


def test_training_is_gradient_descent():
    batches, model = make_batches(), linear_model()
    weights, losses = train_by_hand(batches, epochs=4)
    result = make_trainer(model).fit(as_tensors(batches), epochs=4)
    np.testing.assert_allclose(weights_of(model), weights, rtol=1e-10)
    np.testing.assert_allclose([row["train_loss"] for row in result.history], losses, rtol=1e-10)
    assert [row["step"] for row in result.history] == [6, 12, 18, 24]


def test_accumulated_batches_make_the_step_of_one_large_batch():
    batches, model = make_batches(count=5), linear_model()
    merged = [
        tuple(np.concatenate(parts) for parts in zip(*batches[start : start + 2], strict=True))
        for start in (0, 2, 4)
    ]
    weights, _ = train_by_hand(merged, epochs=3)
    result = make_trainer(model, accumulate=2).fit(as_tensors(batches), epochs=3)
    np.testing.assert_allclose(weights_of(model), weights, rtol=1e-10)
    assert result.history[-1]["step"] == 9


def test_gradients_are_clipped_before_the_step():
    model = linear_model()
    make_trainer(model, lr=1.0, clip_norm=0.25).fit(as_tensors(make_batches(1)), epochs=1)
    assert np.linalg.norm(weights_of(model)) == pytest.approx(0.25, rel=1e-4)


def test_validation_runs_in_eval_mode_over_all_samples():
    class Remembering(tn.nn.Module):
        modes = ()

        def __init__(self):
            self.inner = linear_model()

        def forward(self, x):
            self.modes += (self.training,)
            return self.inner(x)

    model, batches = Remembering(), make_batches(3)
    validation = make_batches(4, seed=1)
    result = make_trainer(model, lr=0.01).fit(
        as_tensors(batches), epochs=1, validation=as_tensors(validation)
    )
    assert model.modes == (True,) * 3 + (False,) * 4
    x, y = (np.concatenate(parts) for parts in zip(*validation, strict=True))
    weights = weights_of(model.inner)
    expected = np.mean((x @ weights[:3] + weights[3] - y) ** 2)
    assert result.history[0]["validation_loss"] == pytest.approx(expected, rel=1e-10)
    assert evaluate(model, as_tensors(validation), tn.nn.MSELoss())["loss"] == pytest.approx(
        expected
    )


@pytest.mark.parametrize(
    ("schedule_by", "rates"), [("epoch", [0.1, 0.05, 0.025]), ("step", [0.05, 0.0125, 0.003125])]
)
def test_schedulers_are_stepped_by_epoch_or_by_step(schedule_by, rates):
    model = linear_model()
    trainer = make_trainer(model, schedule_by=schedule_by)
    trainer.scheduler = tn.optim.lr_scheduler.ExponentialLR(trainer.optimizer, gamma=0.5)
    result = trainer.fit(as_tensors(make_batches(2)), epochs=3)
    assert [row["learning_rate"] for row in result.history] == pytest.approx(rates)


def test_a_plateau_scheduler_gets_the_monitored_value():
    model = linear_model()
    trainer = make_trainer(model, lr=1e-9, schedule_by="step", monitor="train_loss")
    trainer.scheduler = tn.optim.lr_scheduler.ReduceLROnPlateau(
        trainer.optimizer, patience=0, eps=0.0
    )
    result = trainer.fit(as_tensors(make_batches(2)), epochs=4)
    # At this rate the loss stays within the scheduler's threshold of the first.
    rates = [row["learning_rate"] for row in result.history]
    assert rates == pytest.approx([1e-9, 1e-9, 1e-10, 1e-11])


def scripted(values):
    """A metric of the whole training set that goes through given values, an epoch each."""
    supply = iter(values)
    return Metric("script", lambda output, target: np.array(next(supply)))


def test_early_stopping_waits_for_its_patience():
    model, batches = linear_model(), as_tensors(make_batches(1))
    script = scripted([0.1, 0.3, 0.2, 0.3, 0.25, 0.9, 0.9])
    trainer = make_trainer(
        model, metrics=[script], monitor="train_script", early_stopping=3, compile=False
    )
    result = trainer.fit(batches, epochs=7)
    assert result.stopped_early
    assert len(result.history) == 5  # the best is epoch 2: as good again is not better
    assert (result.best_epoch, result.best_value) == (2, 0.3)


@pytest.mark.parametrize("with_folder", [False, True])
def test_the_best_epoch_can_be_restored(tmp_path, with_folder):
    batches = make_batches(1)
    model = linear_model()
    trainer = make_trainer(
        model,
        metrics=[scripted([0.1, 0.3, 0.2, 0.1, 0.2])],
        monitor="train_script",
        restore_best=True,
        folder=tmp_path if with_folder else None,
        compile=False,
    )
    trainer.fit(as_tensors(batches), epochs=5)
    weights, _ = train_by_hand(batches, epochs=2)
    np.testing.assert_allclose(weights_of(model), weights, rtol=1e-10)


def test_digits_are_learned(device):
    data = drawn_dataset(400)
    model = tn.models.MLP([784, 32, 10]).to(device=device)
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
    trainer = Trainer(model, tn.nn.CrossEntropyLoss(), optimizer, metrics=[accuracy], progress=None)
    validation = tn.data.DataLoader(drawn_dataset(100, seed=1), 50, shuffle=False)
    result = trainer.fit(
        tn.data.DataLoader(data, 32, shuffle=True), epochs=8, validation=validation
    )
    assert result.history[-1]["validation_accuracy"] > 0.95
    assert result.history[-1]["train_accuracy"] > 0.95


# ---- when it goes badly


def poisoned(batches, index, value):
    batches = as_tensors(batches)
    with tn.no_grad():
        batches[index][1][0] = value
    return batches


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_training_where_it_happened(value):
    trainer = make_trainer(linear_model())
    with pytest.raises(TrainingDiverged, match=r"learning rate 0\.1: lower the") as caught:
        trainer.fit(poisoned(make_batches(), 3, value), epochs=3)
    assert (caught.value.epoch, caught.value.step, caught.value.name) == (1, 4, "loss")


def test_divergence_leaves_the_last_good_checkpoint(tmp_path):
    class Poisoning(list):
        """Gives good batches in the first two epochs, and a bad one in the third."""

        passes = 0

        def __iter__(self):
            self.passes += 1
            if self.passes == 3:
                return iter(poisoned(make_batches(), 2, math.nan))
            return super().__iter__()

    model = linear_model()
    trainer = make_trainer(model, folder=tmp_path, checkpoint_every=1)
    with pytest.raises(TrainingDiverged) as caught:
        trainer.fit(Poisoning(as_tensors(make_batches())), epochs=5)
    assert (caught.value.epoch, caught.value.step) == (3, 3)
    newest = load_checkpoint(
        tmp_path / "checkpoints" / (tmp_path / "checkpoints" / "latest").read_text().strip()
    )
    assert newest.state["position"]["step"] == 14
    assert all(np.isfinite(array).all() for array in newest.model.values())
    assert len(read_rows(tmp_path / "metrics.jsonl")) == 2


def test_a_step_that_ruins_the_parameters_is_not_saved(tmp_path):
    model = linear_model()
    trainer = make_trainer(model, lr=1e308, folder=tmp_path, checkpoint_every=1)
    with pytest.raises(TrainingDiverged):
        trainer.fit(as_tensors(make_batches()), epochs=1)
    assert not list((tmp_path / "checkpoints").glob("checkpoint-*"))


def test_a_validation_loss_that_is_not_finite_stops_training():
    trainer = make_trainer(linear_model())
    with pytest.raises(TrainingDiverged, match="validation_loss is nan at epoch 1"):
        trainer.fit(as_tensors(make_batches()), 3, poisoned(make_batches(), 0, math.nan))


def test_an_oscillating_loss_is_warned_of_once():
    class Bouncing(list):
        """Targets three times as large in every other epoch."""

        passes = 0

        def __iter__(self):
            self.passes += 1
            scale = 1.0 if self.passes % 2 else 3.0
            return iter([(x, y * scale) for x, y in super().__iter__()])

    trainer = make_trainer(linear_model(), lr=1e-4)
    with pytest.warns(TrainingWarning, match="lower the learning rate") as caught:
        trainer.fit(Bouncing(as_tensors(make_batches())), epochs=10)
    assert len(caught) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_training_after_the_step_and_keeps_it(tmp_path, number):
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    model, calls = linear_model(), []

    def interrupting(output, target):
        calls.append(0)
        if len(calls) == 9:
            os.kill(os.getpid(), number)
        return np.array(0.0)

    metrics = [Metric("x", interrupting)]
    trainer = make_trainer(model, folder=tmp_path, metrics=metrics, compile=False)
    with pytest.raises(TrainingInterrupted) as caught:
        trainer.fit(as_tensors(make_batches()), epochs=5)
    assert caught.value.signal == number
    checkpoint = load_checkpoint(caught.value.checkpoint)
    assert checkpoint.state["position"] == {"epoch": 1, "batch": 3, "step": 9}
    np.testing.assert_array_equal(checkpoint.model["weight"], model.weight.tolist())
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers


# ---- bad input


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    make_trainer(linear_model(), folder=tmp_path).fit(as_tensors(make_batches()), epochs=1)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    with pytest.raises(FileExistsError, match="holds a run already"):
        make_trainer(linear_model(), folder=tmp_path).fit(as_tensors(make_batches()), epochs=1)
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "epochs", "count", "message"),
    [
        ({}, 0, 3, "epochs is 0"),
        ({}, 1, 0, r"len\(loader\) is 0"),
        ({"accumulate": 0}, 1, 3, "accumulate is 0"),
        ({"early_stopping": 0}, 1, 3, "early_stopping is 0"),
        ({"checkpoint_every": -1}, 1, 3, "checkpoint_every is -1"),
        ({"clip_norm": 0.0}, 1, 3, "clip_norm is 0.0"),
        ({"clip_norm": math.nan}, 1, 3, "clip_norm is nan"),
        ({"schedule_by": "batch"}, 1, 3, "schedule_by is 'batch', expected 'epoch' or 'step'"),
        ({"monitor": "validation_loss"}, 1, 3, "expected one of train_loss"),
        ({"progress": "always"}, 1, 3, "got 'always', expected 'auto'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, epochs, count, message):
    batches = as_tensors(make_batches())[:count]
    with pytest.raises(ValueError, match=message):
        make_trainer(linear_model(), **options).fit(batches, epochs=epochs)


def test_an_empty_validation_set_is_refused():
    with pytest.raises(ValueError, match="gave no samples"):
        make_trainer(linear_model()).fit(as_tensors(make_batches()), epochs=1, validation=[])

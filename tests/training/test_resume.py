"""Training that was interrupted goes on as if it had not been, bit for bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinynn as tn
from tests.training.drawn_digits import drawn_dataset
from tinynn.training import (
    Trainer,
    TrainingInterrupted,
    TrainingWarning,
    accuracy,
    read_rows,
)

ROOT = Path(__file__).parents[2]
EPOCHS, SAMPLES, BATCH = 4, 100, 16  # 7 steps an epoch


def sgd_with_cosine(parameters):
    optimizer = tn.optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)
    return optimizer, tn.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * 7), "step"


def adamw_with_plateau(parameters):
    optimizer = tn.optim.AdamW(parameters, lr=0.01)
    scheduler = tn.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", patience=0)
    return optimizer, scheduler, "epoch"


def sgd_with_one_cycle(parameters):
    optimizer = tn.optim.SGD(parameters, lr=0.05, momentum=0.9)
    scheduler = tn.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=EPOCHS * 7)
    return optimizer, scheduler, "step"


def adamw_alone(parameters):
    return tn.optim.AdamW(parameters, lr=0.01, amsgrad=True), None, "epoch"


MAKERS = [sgd_with_cosine, adamw_with_plateau, sgd_with_one_cycle, adamw_alone]


class InterruptingLoader:
    """Sends this process a SIGINT with the batch of a number, counted from 1."""

    def __init__(self, loader, stop_at):
        self.loader, self.stop_at, self.batches = loader, stop_at, 0

    def __len__(self):
        return len(self.loader)

    def epoch(self, number, start=0):
        for batch in self.loader.epoch(number, start):
            self.batches += 1
            if self.batches == self.stop_at:
                os.kill(os.getpid(), signal.SIGINT)
            yield batch


def train(folder, make, stop_at=None, resume=False, **options):
    """Trains with dropout on augmented digits; interrupts itself after batch `stop_at`."""
    tn.manual_seed(3)
    model = tn.models.MLP([784, 16, 10], dropout=0.3)
    optimizer, scheduler, schedule_by = make(model.parameters())
    trainer = Trainer(
        model,
        tn.nn.CrossEntropyLoss(),
        optimizer,
        scheduler,
        schedule_by,
        metrics=[accuracy],
        monitor="validation_accuracy",
        folder=folder,
        progress=None,
        **options,
    )
    loader = tn.data.DataLoader(
        drawn_dataset(SAMPLES), BATCH, shuffle=True, seed=5, augment=tn.data.RandomAffine()
    )
    validation = tn.data.DataLoader(drawn_dataset(40, seed=1), 40, shuffle=False)
    result = trainer.fit(InterruptingLoader(loader, stop_at), EPOCHS, validation, resume=resume)
    return model, optimizer, result


def without_times(rows):
    return [
        {key: value for key, value in row.items() if key not in ("seconds", "samples_per_second")}
        for row in rows
    ]


def assert_same_training(first, second):
    (model, optimizer, result), (other_model, other_optimizer, other_result) = first, second
    for name, tensor in model.state_dict().items():
        assert tensor.tolist() == other_model.state_dict()[name].tolist(), name
    state, other_state = optimizer.state_dict(), other_optimizer.state_dict()
    assert state["param_groups"] == other_state["param_groups"]
    for number, memory in state["state"].items():
        for name, value in memory.items():
            np.testing.assert_array_equal(value, other_state["state"][number][name])
    assert without_times(result.history) == without_times(other_result.history)
    assert result[1:] == other_result[1:]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("stops", [(3,), (7,), (8, 4, 1, 9)], ids=str)
def test_interrupted_training_is_uninterrupted_training(tmp_path, make, stops):
    whole = train(tmp_path / "whole", make)
    for number, stop_at in enumerate(stops):
        with pytest.raises(TrainingInterrupted):
            train(tmp_path / "parts", make, stop_at, resume=number > 0)
    parts = train(tmp_path / "parts", make, resume=True)
    assert_same_training(whole, parts)
    assert without_times(read_rows(tmp_path / "parts" / "metrics.jsonl")) == without_times(
        read_rows(tmp_path / "whole" / "metrics.jsonl")
    )


def test_gradients_that_add_up_are_not_split_by_an_interruption(tmp_path):
    whole = train(tmp_path / "whole", sgd_with_cosine, accumulate=3)
    with pytest.raises(TrainingInterrupted) as caught:
        train(tmp_path / "parts", sgd_with_cosine, stop_at=8, accumulate=3)
    position = json.loads((caught.value.checkpoint / "state.json").read_text())["state"]["position"]
    assert position == {"epoch": 1, "batch": 3, "step": 4}
    parts = train(tmp_path / "parts", sgd_with_cosine, resume=True, accumulate=3)
    assert_same_training(whole, parts)


def test_resuming_without_a_checkpoint_begins_anew(tmp_path):
    whole = train(tmp_path / "whole", adamw_alone)
    assert_same_training(whole, train(tmp_path / "parts", adamw_alone, resume=True))


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    whole = train(tmp_path, adamw_alone)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = train(tmp_path, adamw_alone, resume=True)
    assert_same_training(whole, again)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_metrics_are_cut_back_to_the_checkpoint(tmp_path):
    with pytest.raises(TrainingInterrupted):
        train(tmp_path, adamw_alone, stop_at=10)
    with open(tmp_path / "metrics.jsonl", "a") as file:  # a run that came further, but not whole
        file.write('{"epoch": 2, "step": 14}\n{"epoch": 3, "st')
    train(tmp_path, adamw_alone, resume=True)
    assert [row["epoch"] for row in read_rows(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4]


def test_a_damaged_checkpoint_costs_only_time(tmp_path):
    whole = train(tmp_path / "whole", sgd_with_cosine)
    with pytest.raises(TrainingInterrupted) as caught:
        train(tmp_path / "parts", sgd_with_cosine, stop_at=17)
    os.truncate(caught.value.checkpoint / "training.safetensors", 100)
    with pytest.warns(TrainingWarning, match="checkpoint-17 is damaged.*going on from checkp"):
        parts = train(tmp_path / "parts", sgd_with_cosine, resume=True)
    assert_same_training(whole, parts)


def test_other_data_or_options_are_refused(tmp_path):
    with pytest.raises(TrainingInterrupted):
        train(tmp_path, adamw_alone, stop_at=10)
    with pytest.raises(ValueError, match="made with 1 batches per step, this training has 2"):
        train(tmp_path, adamw_alone, resume=True, accumulate=2)
    with pytest.raises(ValueError, match=r"SGD.load_state_dict: the state .* exp_avg"):
        train(tmp_path, sgd_with_cosine, resume=True)


WORKER = """
import sys
import tinynn as tn
from tests.training.test_resume import sgd_with_cosine, train
tn.set_num_threads(1)
train(sys.argv[1], sgd_with_cosine, resume=True, checkpoint_every=1)
"""


def test_training_survives_kills_at_any_moment(tmp_path):
    whole = train(tmp_path / "whole", sgd_with_cosine)
    latest = tmp_path / "parts" / "checkpoints" / "latest"
    moments, statuses = random.Random(0), []
    for _ in range(6):
        before = latest.read_text() if latest.exists() else None
        command = [sys.executable, "-c", WORKER, tmp_path / "parts"]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        # From its next checkpoint on, at any moment of the next few steps.
        while process.poll() is None and (not latest.exists() or latest.read_text() == before):
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        assert process.communicate()[1] == ""
        statuses.append(process.returncode)
    assert -signal.SIGKILL in statuses
    assert set(statuses) <= {-signal.SIGKILL, 0}
    parts = train(tmp_path / "parts", sgd_with_cosine, resume=True)
    assert_same_training(whole, parts)
    assert without_times(read_rows(tmp_path / "parts" / "metrics.jsonl")) == without_times(
        whole[2].history
    )

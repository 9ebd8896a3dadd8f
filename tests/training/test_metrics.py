"""Metrics and their means against NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinynn as tn
from tinynn.training import Averages, accuracy, class_accuracies, confusion_matrix
from tinynn.training.metrics_file import append_row, read_rows, write_rows

batches = st.lists(
    st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.integers(1, 100)),
    min_size=1,
    max_size=20,
)


@given(batches, st.sets(st.integers(0, 20)))
def test_means_are_weighted_by_samples_whenever_they_are_read(values, reads):
    averages = Averages(["loss", "accuracy"])
    for index, (loss, share, samples) in enumerate(values):
        averages.add([np.array(loss), np.array(share)], samples)
        if index in reads:
            averages.read()
    losses, shares, weights = zip(*values, strict=True)
    assert averages.read() == {
        "loss": pytest.approx(np.average(losses, weights=weights), abs=1e-9),
        "accuracy": pytest.approx(np.average(shares, weights=weights), abs=1e-9),
    }
    unread = Averages(["loss", "accuracy"])
    for loss, share, samples in values:
        unread.add([np.array(loss), np.array(share)], samples)
    assert unread.read() == averages.read()  # bit for bit


def test_means_go_on_from_a_saved_state():
    values = [(0.1 * index, 3 + index) for index in range(10)]
    whole, first, second = (Averages(["loss"]) for _ in range(3))
    for index, (loss, samples) in enumerate(values):
        whole.add([np.array(loss)], samples)
        (first if index < 4 else second).add([np.array(loss)], samples)
        if index == 3:
            second.load_state_dict(first.state_dict())
    assert second.read() == whole.read()


def test_the_first_value_that_is_not_finite_is_remembered():
    averages = Averages(["loss", "accuracy"])
    for loss, share in ((1.0, 0.5), (2.0, 0.5), (1.0, np.inf), (np.nan, 0.5)):
        averages.add([np.array(loss), np.array(share)], 8)
    averages.read()
    assert averages.first_not_finite == (2, "accuracy", np.inf)


def test_no_batches_have_no_mean():
    assert np.isnan(Averages(["loss"]).read()["loss"])


def test_values_may_live_on_any_device(device):
    averages = Averages(["accuracy"])
    output = tn.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], device=device)
    target = tn.tensor([1, 0, 0, 0], device=device)
    averages.add([accuracy(output, target)], 4)
    assert averages.read() == {"accuracy": 0.75}


def test_accuracy_of_sequences_counts_every_position():
    random = np.random.default_rng(0)
    output, target = random.normal(size=(4, 7, 5)), random.integers(0, 5, (4, 7))
    expected = np.mean(
        [np.argmax(row) == t for row, t in zip(output.reshape(-1, 5), target.flat, strict=True)]
    )
    assert float(accuracy(tn.tensor(output), tn.tensor(target))) == expected


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=50))
def test_confusion_matrix_counts_pairs(pairs):
    matrix = confusion_matrix([t for t, _ in pairs], [p for _, p in pairs], classes=4)
    assert matrix.tolist() == [
        [pairs.count((true, predicted)) for predicted in range(4)] for true in range(4)
    ]


def test_confusion_matrix_refuses_vectors_of_different_length():
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        confusion_matrix([0, 1], [0, 1, 1], classes=2)


def test_class_accuracies_are_nan_for_a_class_that_does_not_occur():
    shares = class_accuracies([[3, 1, 0], [0, 0, 0], [1, 1, 2]])
    assert shares[[0, 2]].tolist() == [0.75, 0.5]
    assert np.isnan(shares[1])


def test_metrics_file_appends_and_reads_back(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [{"epoch": epoch, "train_loss": 0.1 * epoch} for epoch in range(1, 4)]
    write_rows(path, rows[:1])
    for row in rows[1:]:
        append_row(path, row)
    assert read_rows(path) == rows
    assert path.read_text().count("\n") == 3


@pytest.mark.parametrize("line", ['{"epoch": 2', "[1, 2]", "\xff"])
def test_metrics_file_names_the_line_that_is_damaged(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"epoch": 1}\n' + line.encode("latin-1") + b"\n")
    with pytest.raises(ValueError, match="line 2"):
        read_rows(path)

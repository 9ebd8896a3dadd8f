"""What is shown while training, on a terminal and elsewhere."""

import io
import re

import pytest

from tinynn.training import BarProgress, LineProgress
from tinynn.training.progress import SilentProgress, choose_progress

ROW = {
    "epoch": 2,
    "step": 20,
    "train_loss": 0.123456,
    "train_accuracy": 0.98765,
    "samples_per_second": 12345.6,
    "validation_loss": 0.5,
    "validation_accuracy": 0.9,
    "learning_rate": 0.05,
    "seconds": 1.26,
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_are_a_table():
    stream = io.StringIO()
    progress = LineProgress(stream)
    progress.start(epochs=12, batches=10, epoch=0, batch=0)
    progress.update(0, 5, {"loss": 1.0}, 100.0)
    progress.finish_epoch(ROW | {"epoch": 1})
    progress.finish_epoch(ROW)
    progress.stop()
    header, first, second = stream.getvalue().splitlines()
    assert header.split() == (
        ["epoch", "train", "loss", "accuracy", "validation", "loss", "accuracy", "rate", "time"]
    )
    assert second.split() == ["2/12", "0.1235", "98.77%", "0.5000", "90.00%", "0.05000", "1.3", "s"]
    assert len(header) == len(first) == len(second) <= 80


def test_lines_tell_where_training_goes_on():
    stream = io.StringIO()
    LineProgress(stream).start(epochs=12, batches=10, epoch=3, batch=4)
    assert stream.getvalue() == "going on from epoch 4, batch 5 of 10\n"


@pytest.mark.parametrize("columns", [60, 80, 300])
def test_the_bar_fits_and_shows_the_time_left(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    progress = BarProgress(stream)
    progress.start(epochs=12, batches=10, epoch=0, batch=0)
    progress.update(0, 5, {"loss": 1.0, "accuracy": 0.5}, 12345.6)
    progress.finish_epoch(ROW | {"epoch": 1})
    progress.stop()
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    bars = [line for line in re.split(r"[\r\n]", plain) if line.startswith("epoch 1/12")]
    assert bars
    assert max(map(len, bars)) <= min(columns, 100)
    if columns >= 80:
        assert re.search(r"loss 1\.0000  accuracy 50\.00%   12,346/s   \d:\d\d left", bars[1])
    assert "1/12      0.1235" in plain


def test_progress_is_chosen_by_the_terminal(monkeypatch):
    given = LineProgress()
    assert choose_progress(given) is given
    assert type(choose_progress(None)) is SilentProgress
    assert type(choose_progress("auto")) is LineProgress  # pytest's stdout is no terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", Terminal())
    assert type(choose_progress("auto")) is BarProgress
    monkeypatch.setenv("TERM", "dumb")
    assert type(choose_progress("auto")) is LineProgress

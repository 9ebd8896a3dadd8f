"""The benchmark of training: both engines do the same, and the short look works."""

import io

import pytest

from benchmarks import train_gpt, train_gpt_in_tinynn


def trained(train):
    """The last loss and the number of steps of a training of 20 steps."""
    turns = train_gpt.Turns(io.StringIO(), io.StringIO())
    return train(train_gpt.work(20, train_gpt.verses()), turns.finish_step), len(turns.seconds)


def test_engines_begin_alike_and_stay_alike():
    pytest.importorskip("torch")
    from benchmarks import train_gpt_in_torch

    mine, peer = trained(train_gpt_in_tinynn.train), trained(train_gpt_in_torch.train)
    assert mine[1] == peer[1] == 20
    assert mine[0] == pytest.approx(peer[0], abs=1e-3)
    assert mine[0] < 2.5  # of some 3.3 at the beginning


def test_a_short_look_works(capfd):
    train_gpt.main(["--quick", "--threads", "1"])
    lines = capfd.readouterr().out.splitlines()
    assert any(line.startswith("tinynn ") for line in lines)
    assert max(map(len, lines)) <= 100

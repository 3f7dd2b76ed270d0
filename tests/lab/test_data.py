"""Every source of a data set gives the same arrays in the same convention."""

import dataclasses
import gzip
import math
import shutil
import subprocess
import urllib.error
import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets

from widelimit.lab import data

IDX = data._IDX_FILES
CIFAR = data._CIFAR_FILES


def idx(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def idx_folder(folder, train=7, test=3, ending="", dot=False):
    """Four made-up IDX files; returns the images and labels in them."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (train + test, 28, 28))
    images[0, 0, :2] = 0, 255
    labels = rng.integers(0, 10, train + test)
    parts = (images[:train], labels[:train], images[train:], labels[train:])
    for file, part in zip(IDX, parts, strict=True):
        put(folder / ((file.replace("-idx", ".idx") if dot else file) + ending), idx(part))
    return images, labels


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder that WIDELIMIT_DATA names."""
    monkeypatch.setenv("WIDELIMIT_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """No test downloads anything; those that want an answer from OpenML make one up."""
    monkeypatch.delenv("WIDELIMIT_DATA", raising=False)

    def offline(*args, **kwargs):
        warnings.warn("A network error occurred while downloading. Retrying...", stacklevel=2)
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", offline)


def check(dataset, name, n, image_shape):
    assert dataset.name == name
    assert dataset.image_shape == image_shape
    assert dataset.x.shape == (n, math.prod(image_shape))
    assert dataset.x.dtype == np.float32
    assert dataset.x.min() == 0
    assert dataset.x.max() == 1
    assert dataset.y.shape == (n,)
    assert dataset.y.dtype == np.int32


def test_digits_need_nothing():
    digits = data.load()
    check(digits, "digits", 1797, (8, 8))
    raw = sklearn.datasets.load_digits()
    np.testing.assert_array_equal(digits.x.reshape(-1, 8, 8) * 16, raw.images)
    np.testing.assert_array_equal(digits.y, raw.target)
    with pytest.raises(ValueError, match="digits has no training and test set"):
        _ = digits.train
    with pytest.raises(ValueError, match="digits has no training and test set"):
        _ = digits.test


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("place", [".", "{name}", "plain"])
def test_idx_folder(folder, monkeypatch, name, ending, dot, place):
    home = folder / place.format(name=name)
    images, labels = idx_folder(home, ending=ending, dot=dot)
    if place == "plain":  # named itself, and called nothing we know
        monkeypatch.setenv("WIDELIMIT_DATA", str(home))
    got = data.load(name)
    check(got, name, 10, (28, 28))
    np.testing.assert_array_equal(got.x.reshape(images.shape), images.astype(np.float32) / 255)
    np.testing.assert_array_equal(got.y, labels)
    assert len(got.train.x) == len(got.train.y) == 7
    np.testing.assert_array_equal(got.test.x, got.x[7:])
    np.testing.assert_array_equal(got.test.y, labels[7:])
    assert got.train.train_size is None


@pytest.mark.parametrize("as_subfolder", [False, True])
def test_a_folder_named_after_one_data_set_is_not_read_as_another(
    folder, monkeypatch, as_subfolder
):
    idx_folder(folder / "FashionMNIST")
    if not as_subfolder:
        monkeypatch.setenv("WIDELIMIT_DATA", str(folder / "FashionMNIST"))
    assert len(data.load("fashion-mnist").x) == 10
    with pytest.raises(ConnectionError):
        data.load("mnist")


@pytest.mark.parametrize("place", [".", "cifar-10", "cifar-10-batches-bin"])
def test_cifar_folder_puts_colours_last(folder, place):
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 256, (12, 3, 32, 32))
    planes[0, 0, 0, :2] = 0, 255
    labels = np.arange(12) % 10
    rows = np.concatenate([labels[:, None], planes.reshape(12, -1)], axis=1).astype(np.uint8)
    for i, file in enumerate(CIFAR):
        put(folder / place / file, rows[2 * i : 2 * i + 2].tobytes())
    got = data.load("cifar-10")
    check(got, "cifar-10", 12, (32, 32, 3))
    want = planes.transpose(0, 2, 3, 1).astype(np.float32) / 255
    np.testing.assert_array_equal(got.x.reshape(-1, *got.image_shape), want)
    np.testing.assert_array_equal(got.y, labels)
    assert got.train_size == 10


def damage(folder, file, content):
    put(folder / file, content)
    return str(folder / file)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not an IDX file"),
        (b"<html>not found</html>", "not an IDX file"),
        (idx(np.zeros((7, 28, 28)))[:-1], "promises 5488 bytes of items and holds 5487"),
        (idx(np.zeros((7, 784))), "2 axes instead of 3"),
        (idx(np.zeros((6, 28, 28))), "6 images, its labels' file 7"),
        (idx(np.zeros((7, 8, 8))), "64 pixels instead of 28 × 28"),
    ],
)
def test_damaged_idx_is_named(folder, content, why):
    idx_folder(folder)
    path = damage(folder, IDX[0], content)
    with pytest.raises(ValueError, match=why) as caught:
        data.load("mnist")
    assert path in str(caught.value)


@pytest.mark.parametrize("cut", [5, 40, 200])
def test_half_a_gzip_file_is_named(folder, cut):
    idx_folder(folder, ending=".gz")
    path = folder / f"{IDX[0]}.gz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"train-images.*not a whole gzip file"):
        data.load("mnist")


def test_labels_beyond_nine_are_refused(folder):
    idx_folder(folder)
    put(folder / IDX[1], idx(np.full(7, 10)))
    with pytest.raises(ValueError, match="labels outside"):
        data.load("mnist")


def test_damaged_cifar_is_named(folder):
    for file in CIFAR:
        put(folder / file, bytes(3073))
    damage(folder, CIFAR[2], bytes(3072))
    with pytest.raises(ValueError, match=r"data_batch_3\.bin has 3072 bytes"):
        data.load("cifar-10")


def test_missing_files_are_named(folder):
    idx_folder(folder)
    (folder / IDX[1]).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no {IDX[1]}"):
        data.load("mnist")


def test_a_folder_that_is_not_there(folder, monkeypatch):
    monkeypatch.setenv("WIDELIMIT_DATA", str(folder / "absent"))
    with pytest.raises(FileNotFoundError, match=r"WIDELIMIT_DATA=.*absent is not a folder"):
        data.load("mnist")
    assert len(data.load("digits").x) == 1797


@pytest.mark.parametrize("name", data.names()[1:])
@pytest.mark.parametrize("with_folder", [False, True])
def test_offline_names_both_ways_out(tmp_path, monkeypatch, name, with_folder):
    if with_folder:
        monkeypatch.setenv("WIDELIMIT_DATA", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConnectionError, match=r"network connection.*WIDELIMIT_DATA") as caught:
            data.load(name)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__


def made_up(monkeypatch, name, last_labels, dtype=np.int64):
    """OpenML's answer for a data set whose test set has one image of each class."""
    source = dataclasses.replace(data._SOURCES[name], test_counts=(1,) * 10)
    monkeypatch.setitem(data._SOURCES, name, source)
    size = math.prod(source.image_shape)
    pixels = np.random.default_rng(0).integers(0, 256, (25, size))
    pixels[0, :2] = 0, 255
    labels = np.r_[np.zeros(15, int), last_labels]
    asked = {}

    def fetch(openml_name, **options):
        asked.update(options, name=openml_name)
        return sklearn.utils.Bunch(data=pixels.astype(dtype), target=labels.astype(str))

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    return source, pixels, labels, asked


@pytest.mark.parametrize("name", data.names()[1:])
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_openml(monkeypatch, name, dtype):
    source, pixels, labels, asked = made_up(monkeypatch, name, np.arange(10)[::-1], dtype)
    got = data.load(name)
    check(got, name, 25, source.image_shape)
    if name == "cifar-10":
        pixels = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).reshape(25, -1)
    np.testing.assert_array_equal(got.x, pixels.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(got.y, labels)
    assert got.train_size == 15
    assert asked["name"] == source.openml
    assert asked["version"] == 1
    assert asked["as_frame"] is False


def test_openml_in_another_order_has_no_split(monkeypatch):
    made_up(monkeypatch, "mnist", np.arange(10) // 2)
    assert data.load("mnist").train_size is None


def test_openml_of_another_shape_is_refused(monkeypatch):
    made_up(monkeypatch, "mnist", np.arange(10))
    source = dataclasses.replace(data._SOURCES["mnist"], image_shape=(8, 8))
    monkeypatch.setitem(data._SOURCES, "mnist", source)
    with pytest.raises(ValueError, match="images of shape"):
        data.load("mnist")


@pytest.mark.parametrize(
    ("wrong", "right"), [("mnist_784", "mnist"), ("Fashion MNIST", "fashion-mnist")]
)
def test_unknown_name_suggests_the_nearest(wrong, right):
    with pytest.raises(ValueError, match=rf"did you mean '{right}'\?"):
        data.load(wrong)


def installed_folder():
    """Where the Debian package dataset-fashion-mnist put its files, if it is installed."""
    if shutil.which("dpkg") is None:
        return None
    listing = subprocess.run(
        ["dpkg", "-L", "dataset-fashion-mnist"], capture_output=True, text=True
    ).stdout
    paths = [Path(line) for line in listing.splitlines() if IDX[0] in line]
    return paths[0].parent if paths and paths[0].exists() else None


@pytest.mark.skipif(
    installed_folder() is None, reason="the Debian package dataset-fashion-mnist is not installed"
)
@pytest.mark.parametrize("of_parent", [False, True])
def test_the_real_fashion_mnist(monkeypatch, of_parent):
    home = installed_folder()
    monkeypatch.setenv("WIDELIMIT_DATA", str(home.parent if of_parent else home))
    fashion = data.load("fashion-mnist")
    check(fashion, "fashion-mnist", 70000, (28, 28))
    assert fashion.train_size == 60000
    np.testing.assert_array_equal(np.bincount(fashion.train.y), [6000] * 10)
    # The counts by which OpenML's row order is recognized.
    np.testing.assert_array_equal(
        np.bincount(fashion.test.y), data._SOURCES["fashion-mnist"].test_counts
    )
    # Its authors report a pixel mean of 0.2860 and standard deviation of 0.3530 in training.
    assert fashion.train.x.mean(dtype=float) == pytest.approx(0.2860, abs=5e-5)
    assert fashion.train.x.std(dtype=float) == pytest.approx(0.3530, abs=5e-5)
    with pytest.raises(ConnectionError):
        data.load("mnist")


@pytest.mark.parametrize("name", data.names()[1:])
def test_the_test_set_has_ten_thousand_images(name):
    assert sum(data._SOURCES[name].test_counts) == 10000


def test_the_lab_computes_in_float32(assert_float32):
    """The lab's settings are in force: float32 in and out, and shapes must match."""
    import jax
    import jax.numpy as jnp

    x = jnp.asarray(data.load("digits").x)
    weights = jax.random.normal(jax.random.key(0), (64, 3))
    assert_float32({"x": x, "weights": weights, "out": x @ weights * 2.0, "count": jnp.arange(3)})
    with pytest.raises(AssertionError, match="float16"):
        assert_float32([x, x.astype(jnp.float16)])
    with pytest.raises(ValueError, match="rank_promotion"):
        _ = x + jnp.ones(64)

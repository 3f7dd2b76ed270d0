"""The data sets of the experiments, as arrays in one convention.

``digits`` comes with scikit-learn and needs no network. The others are read from the folder that
``WIDELIMIT_DATA`` names, or else from OpenML through `sklearn.datasets.fetch_openml`, which keeps
what it downloaded. A folder holds, gzipped (``.gz``) or not:

- ``mnist``, ``fashion-mnist``: the four IDX files ``train-images-idx3-ubyte``,
  ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte``;
- ``cifar-10``: the binary version's ``data_batch_1.bin`` … ``data_batch_5.bin`` and
  ``test_batch.bin``. The Python version is not read: unpickling a file may run any code in it.

``WIDELIMIT_DATA`` names that folder, or its parent where each data set has a subfolder of its name
(``mnist``, ``fashion-mnist``, ``cifar-10`` or ``cifar-10-batches-bin``). MNIST and Fashion-MNIST
use the same file names, so a folder named after one is never read as the other.
"""

import difflib
import gzip
import importlib.util
import math
import os
import re
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from widelimit import progress


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images, flattened.

    Args:
      name: which data set this is.
      x: one image a row, each pixel in [0, 1] (its range in the source, not in the sample), not
        centred. ``x.reshape(-1, *image_shape)`` gives the images, rows of pixels first, colours
        last.
      y: the class of each image, from 0.
      image_shape: ``(height, width)`` or ``(height, width, 3)``.
      train_size: how many leading rows are the source's own training set, the others being its
        test set; None where the source does not say (digits), or where these rows are one part.
    """

    name: str
    x: Float32[np.ndarray, "n d"]
    y: Int32[np.ndarray, " n"]
    image_shape: tuple[int, ...]
    train_size: int | None = None

    @property
    def train(self) -> "Dataset":
        """The source's own training set; ValueError where it has none."""
        return self._part(slice(None, self._split()))

    @property
    def test(self) -> "Dataset":
        """The source's own test set; ValueError where it has none."""
        return self._part(slice(self._split(), None))

    def _part(self, rows: slice) -> "Dataset":
        return replace(self, x=self.x[rows], y=self.y[rows], train_size=None)

    def _split(self) -> int:
        if self.train_size is None:
            raise ValueError(
                f"this {self.name} has no training and test set of its own; split x and y with a "
                "random permutation"
            )
        return self.train_size


def standardized(x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Inputs with each pixel centred, and all together with mean square 1.

    Args:
      x: inputs as rows, not all equal.

    Returns:
      The same shape.
    """
    x = x - x.mean(axis=0)
    return x / np.sqrt(np.mean(x**2))


def names() -> tuple[str, ...]:
    """The names that `load` knows."""
    return ("digits", *_SOURCES)


def load(name: str = "digits") -> Dataset:
    """Load a data set.

    Args:
      name: one of `names`.

    Returns:
      All of its images, training set first where the source has one: digits 1797 of 8 × 8, mnist
      and fashion-mnist 60000 + 10000 of 28 × 28, cifar-10 50000 + 10000 of 32 × 32 × 3. Pixels are
      whole numbers over 16 (digits) or 255, rounded to float32.

    Raises:
      ValueError: the name is unknown, or a file's content is not what its name promises.
      FileNotFoundError: ``WIDELIMIT_DATA`` is not a folder, or files are missing from it.
      ConnectionError: no folder has the data set and OpenML cannot be reached; the message names
        both ways out.
    """
    if name not in names():
        nearest = difflib.get_close_matches(name.lower(), names(), n=1, cutoff=0.0)[0]
        raise ValueError(f"no data set is called {name!r}; did you mean {nearest!r}?")
    if name == "digits":
        from sklearn.datasets import load_digits  # half a second, spared to those who need none

        raw = load_digits()
        return Dataset(name, _scaled(raw.data, 16), raw.target.astype(np.int32), (8, 8))
    source = _SOURCES[name]
    folder = _folder(name)
    if folder is None:
        pixels, labels, train_size = _from_openml(name, source)
    else:
        pixels, labels, train_size = source.read(folder)
    if pixels.shape[1:] != (math.prod(source.image_shape),) or pixels.shape[:1] != labels.shape:
        raise ValueError(
            f"{name} has images of shape {pixels.shape} and labels of shape {labels.shape}: not "
            f"one label for each image of {' × '.join(map(str, source.image_shape))}"
        )
    if not (labels.size and labels.min() >= 0 and labels.max() <= 9):
        raise ValueError(f"{name} has labels outside 0 … 9, or none")
    if source.image_shape[2:]:  # stored as three planes, one a colour
        height, width, colours = source.image_shape
        planes = pixels.reshape(-1, colours, height, width)
        pixels = planes.transpose(0, 2, 3, 1).reshape(pixels.shape)
    x = _scaled(pixels, 255)
    return Dataset(name, x, labels.astype(np.int32), source.image_shape, train_size)


def _scaled(pixels: np.ndarray, white: int) -> Float32[np.ndarray, "n d"]:
    # "unsafe" is exact here: pixels are small whole numbers, whatever type they came in.
    return np.divide(pixels, np.float32(white), dtype=np.float32, casting="unsafe")


def _folder(name: str) -> Path | None:
    """Where ``WIDELIMIT_DATA`` has this data set; None where it is unset or does not have it."""
    setting = os.environ.get("WIDELIMIT_DATA", "")
    if not setting:
        return None
    root = Path(setting).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"WIDELIMIT_DATA={setting} is not a folder")
    for path in sorted(root.iterdir()):
        if path.is_dir() and _named_after(path) == name:
            return path
    if _named_after(root.resolve()) == name:
        return root
    # A folder named after nothing we know is taken at its owner's word, if it has such files.
    if _named_after(root.resolve()) is None and any(
        _find(root, file) for file in _SOURCES[name].files
    ):
        return root
    return None


def _named_after(folder: Path) -> str | None:
    plain = re.sub("[^a-z0-9]", "", folder.name.lower())
    return next((name for name, source in _SOURCES.items() if plain in source.folders), None)


def _find(folder: Path, file: str) -> Path | None:
    # Some archives unpack to train-images.idx3-ubyte.
    spellings = (file, file.replace("-idx", ".idx"))
    candidates = (folder / (spelling + end) for spelling in spellings for end in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _files(folder: Path, files: tuple[str, ...]) -> list[Path]:
    missing = [file for file in files if _find(folder, file) is None]
    if missing:
        raise FileNotFoundError(f"{folder} has no {', '.join(missing)} (.gz or not)")
    return [_find(folder, file) for file in files]


def _bytes(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a whole gzip file: {error}") from None


def _idx(path: Path) -> UInt8[np.ndarray, "..."]:
    """An IDX file: two zeros, the type (8: bytes), the rank, big-endian sizes, then the items."""
    raw = _bytes(path)
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08" or len(raw) < 4 + 4 * raw[3]:
        raise ValueError(f"{path} is not an IDX file of bytes")
    shape = tuple(int(size) for size in np.frombuffer(raw, ">u4", count=raw[3], offset=4))
    start = 4 + 4 * len(shape)
    if len(raw) != start + math.prod(shape):
        raise ValueError(
            f"{path} promises {math.prod(shape)} bytes of items and holds {len(raw) - start}"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


_Raw = tuple[np.ndarray, np.ndarray, int | None]  # pixels [n, d], labels [n], size of training set

_IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _read_idx_folder(folder: Path) -> _Raw:
    paths = _files(folder, _IDX_FILES)
    parts = [_idx(path) for path in paths]
    for path, part, rank in zip(paths, parts, (3, 1, 3, 1), strict=True):
        if part.ndim != rank:
            raise ValueError(f"{path} has {part.ndim} axes instead of {rank}")
    pixels = [images.reshape(len(images), -1) for images in parts[::2]]
    for path, images, labels in zip(paths[::2], pixels, parts[1::2], strict=True):
        if len(images) != len(labels):
            raise ValueError(f"{path} has {len(images)} images, its labels' file {len(labels)}")
        if images.shape[1] != 28 * 28:
            raise ValueError(f"{path} has images of {images.shape[1]} pixels instead of 28 × 28")
    return np.concatenate(pixels), np.concatenate(parts[1::2]), len(pixels[0])


_CIFAR_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")


def _read_cifar_folder(folder: Path) -> _Raw:
    record = 1 + 3 * 32 * 32  # a label, then the red, green and blue planes
    batches = []
    for path in _files(folder, _CIFAR_FILES):
        raw = _bytes(path)
        if len(raw) % record:
            raise ValueError(f"{path} has {len(raw)} bytes, not a multiple of {record}")
        batches.append(np.frombuffer(raw, np.uint8).reshape(-1, record))
    rows = np.concatenate(batches)
    return rows[:, 1:], rows[:, 0], len(rows) - len(batches[-1])


def _from_openml(name: str, source: "_Source") -> _Raw:
    from sklearn.datasets import fetch_openml

    # Both parsers give the same numbers; pandas is several times faster, and no dependency of ours.
    parser = "pandas" if importlib.util.find_spec("pandas") else "liac-arff"
    try:
        with warnings.catch_warnings(), progress.clock(f"{name} from OpenML"):
            # Its retries are announced as warnings; what matters is the one error below.
            warnings.filterwarnings("ignore", "A network error occurred")
            raw = fetch_openml(source.openml, version=1, as_frame=False, parser=parser, n_retries=1)
    except OSError as error:
        raise ConnectionError(
            f"{name} is not in OpenML's cache here and OpenML cannot be reached ({error}). Either "
            "load it once with a network connection (scikit-learn keeps it), or set WIDELIMIT_DATA "
            f"to a folder that holds {source.files[0]} and its companions, in a subfolder "
            f"{name!r} or directly"
        ) from None
    labels = raw.target.astype(np.int32)
    # OpenML joins training and test set without marking them. The rows are in the source's order
    # if the last ones have exactly the class counts of the source's test set.
    train_size = len(labels) - sum(source.test_counts)
    in_order = train_size > 0 and np.array_equal(
        np.bincount(labels[train_size:], minlength=10), source.test_counts
    )
    return raw.data, labels, train_size if in_order else None


@dataclass(frozen=True)
class _Source:
    openml: str  # its name there; version 1
    folders: tuple[str, ...]  # names of its folder, in lower case, letters and digits only
    files: tuple[str, ...]  # what a folder holds
    read: Callable[[Path], _Raw]
    image_shape: tuple[int, ...]
    test_counts: tuple[int, ...]  # images of each class in the source's test set


_SOURCES = {
    "mnist": _Source(
        openml="mnist_784",
        folders=("mnist",),
        files=_IDX_FILES,
        read=_read_idx_folder,
        image_shape=(28, 28),
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 1009, 974),
    ),
    "fashion-mnist": _Source(
        openml="Fashion-MNIST",
        folders=("fashionmnist",),
        files=_IDX_FILES,
        read=_read_idx_folder,
        image_shape=(28, 28),
        test_counts=(1000,) * 10,
    ),
    "cifar-10": _Source(
        openml="CIFAR_10",
        folders=("cifar10", "cifar10batchesbin"),
        files=_CIFAR_FILES,
        read=_read_cifar_folder,
        image_shape=(32, 32, 3),
        test_counts=(1000,) * 10,
    ),
}

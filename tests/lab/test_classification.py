"""Images of one norm, balanced splits, targets."""

import numpy as np
import pytest

from widelimit.lab import classification, data


def test_standardized_images_have_one_norm_and_no_mean():
    raw = data.load("digits").x
    x = classification.standardized_images(raw)
    np.testing.assert_allclose(x.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(np.mean(x**2, axis=1), 1, rtol=1e-12)
    # Neither brightness nor contrast of the differences from the mean image matters.
    one = raw.mean(axis=0) + 0.5 * (raw[0] - raw.mean(axis=0)) + 0.2
    changed = np.concatenate([raw, [one, 2 * raw.mean(axis=0) - one]])
    again = classification.standardized_images(changed)
    np.testing.assert_allclose(again[0], again[-2], atol=1e-5)


def test_an_image_without_contrast_is_named():
    x = np.random.default_rng(0).normal(size=(4, 9))
    x[2] = x[[0, 1, 3]].mean(axis=0)
    with pytest.raises(ValueError, match="image 2 is the mean image plus a constant"):
        classification.standardized_images(x)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_broken_image_is_named(bad):
    x = np.random.default_rng(0).normal(size=(4, 9))
    x[1, 3] = bad
    with pytest.raises(ValueError, match="image 1 holds NaN"):
        classification.standardized_images(x)


def test_splits_are_balanced_disjoint_and_random():
    y = data.load("digits").y
    one, two = (
        classification.balanced_split(y, 50, 300, np.random.default_rng(seed)) for seed in (0, 1)
    )
    np.testing.assert_array_equal(y[one.train], np.repeat(np.arange(10), 5))
    assert len(set(one.train) | set(one.test)) == 350
    assert set(one.train) != set(two.train)
    again = classification.balanced_split(y, 50, 300, np.random.default_rng(0))
    np.testing.assert_array_equal(one.test, again.test)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (55, 10, "train=55 is no positive multiple of the 10 classes"),
        (0, 10, "train=0 is no positive multiple"),
        (1790, 1, "class"),
        (50, 1748, "1747 examples are left"),
        (50, 0, "test=0"),
    ],
)
def test_impossible_splits_are_refused(train, test, message):
    with pytest.raises(ValueError, match=message):
        classification.balanced_split(data.load("digits").y, train, test, np.random.default_rng(0))


def test_targets():
    found = classification.targets(np.array([2, 0]), 10)
    assert found.shape == (2, 10)
    assert found[0, 2] == found[1, 0] == 0.9
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-15)
    with pytest.raises(ValueError, match="classes from 0 to 3, not among 0 … 2"):
        classification.targets(np.array([0, 3]), 3)

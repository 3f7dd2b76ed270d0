"""What must be true of every figure, and how its points are compared with its lines."""

import numpy as np
from matplotlib.figure import Figure as Canvas
from scipy import stats

from widelimit.figures import registry, style

SIGMAS = 5.0
TAIL = 2 * stats.norm.sf(SIGMAS)


def names_of(chapter):
    """The figures of a chapter, in order."""
    return [name for name, figure in registry.figures().items() if figure.chapter == chapter]


def assert_finite(data):
    """Data are finite arrays, and there are some."""
    assert data
    for key, values in data.items():
        assert isinstance(values, np.ndarray), key
        assert np.all(np.isfinite(values)), key


def assert_drawn(name, data):
    """A figure has labelled axes with something on them, in a small picture."""
    canvas = registry.get(name).draw(data)
    assert isinstance(canvas, Canvas)
    for axis in canvas.axes:
        place = axis.get_subplotspec()
        assert axis.has_data()
        if axis.get_label() == "<colorbar>":  # its panel's title says what the colours are
            continue
        if place.is_last_row():
            assert axis.get_xlabel()
        if place.is_first_col():  # a panel of its own quantity has it as its title
            assert axis.get_ylabel() or axis.get_title()
    assert len(style.svg_bytes(canvas)) <= 200_000


def assert_within(replicates, theory, allowance=0.0):
    """Every point, each inside its own five standard errors (and float32's rounding).

    The allowance is for the theory's own next order.
    """
    replicates = np.asarray(replicates, float)
    mean, error = replicates.mean(0), replicates.std(0, ddof=1) / np.sqrt(len(replicates))
    # Twenty replicates: Student's t at the tail of 5σ.
    bound = stats.t.isf(TAIL / 2, len(replicates) - 1) * error + 2e-6 * np.abs(theory).max()
    bound += allowance
    np.testing.assert_array_less(np.abs(mean - theory), bound)

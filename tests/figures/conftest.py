"""Figures are computed as a chapter computes them, each once in a file, at an unseen key."""

from functools import cache

import jax
import pytest

from widelimit.figures import registry

SETTINGS = {
    "jax_enable_x64": True,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
}


@pytest.fixture(scope="module", autouse=True)
def chapter_settings():
    """What `widelimit.setup` sets, and back afterwards: other tests share the process."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    for name, value in SETTINGS.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="module")
def data():
    """Data of a figure by name, computed at chapter scale the first time it is asked for."""

    @cache
    def compute(name):
        figure = registry.get(name)
        if figure.data_of:  # that one draws these
            return compute(figure.data_of)
        return figure.compute(jax.random.key(20_261_123), "chapter")

    return compute

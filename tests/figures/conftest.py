"""Figures are computed as a chapter computes them, each once in a file, at an unseen key."""

from functools import cache

import jax
import pytest

from widelimit.figures import registry


@pytest.fixture(scope="module", autouse=True)
def chapter_settings():
    """What `widelimit.setup` sets, and back afterwards: other tests share the process."""
    before = jax.config.jax_enable_x64, jax.config.jax_numpy_rank_promotion
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_rank_promotion", "allow")
    yield
    jax.config.update("jax_enable_x64", before[0])
    jax.config.update("jax_numpy_rank_promotion", before[1])


@pytest.fixture(scope="module")
def data():
    """Data of a figure by name, computed at chapter scale the first time it is asked for."""
    return cache(lambda name: registry.get(name).compute(jax.random.key(20_261_123), "chapter"))

"""Theory is tested in float64, where JAX promotes no dtype and no rank on its own."""

import jax
import pytest

SETTINGS = {
    "jax_enable_x64": True,
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
}


# For the whole folder rather than each test: compiled functions are then shared.
@pytest.fixture(scope="package", autouse=True)
def strict_float64():
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    for name, value in SETTINGS.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)

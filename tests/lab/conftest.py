"""The lab's networks are float32 under JAX's default promotion, in which Optax's Adam works.

What strict promotion would catch is asserted instead: see `assert_float32`.
"""

import jax
import jax.numpy as jnp
import pytest

SETTINGS = {
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "raise",
}


@pytest.fixture(autouse=True)
def lab_settings():
    """Set JAX as the lab expects it, and back afterwards: other tests share the process."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    for name, value in SETTINGS.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def assert_float32():
    """A function that fails unless every floating leaf of a tree is float32, and there is one."""

    def check(tree):
        leaves = jax.tree.leaves(tree)
        dtypes = {jnp.asarray(leaf).dtype for leaf in leaves if not _is_key(leaf)}
        floating = {dtype for dtype in dtypes if jnp.issubdtype(dtype, jnp.inexact)}
        assert floating == {jnp.dtype("float32")}, f"floating dtypes: {floating}"

    return check


def _is_key(leaf):
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)

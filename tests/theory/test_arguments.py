"""What every function of the theory refuses alike."""

import jax
import pytest

from widelimit.theory.arguments import checked_depth, need_float64


@pytest.mark.parametrize("depth", [0, -3, 2.5, 2.0, "3", None])
def test_a_depth_is_a_whole_number_of_at_least_one(depth):
    # Around the type checker of the tests, which a reader does not have.
    with pytest.raises(ValueError, match=rf"depth={depth} must be an integer, at least 1"):
        getattr(checked_depth, "__wrapped__", checked_depth)(depth)


def test_a_good_depth_is_returned():
    assert checked_depth(7) == 7


def test_float32_is_refused_by_name():
    need_float64("signals")
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(ValueError, match="jax_enable_x64 is off, and signals need float64"):
            need_float64("signals")
    finally:
        jax.config.update("jax_enable_x64", True)

"""How long phase diagrams and trajectories take, after compilation, in float64.

A 200×200 phase diagram, all its fields: under a second on two cores.
"""

import jax
import numpy as np
import pytest

from widelimit import activations
from widelimit.theory import phases, polar, signal


@pytest.fixture(autouse=True)
def float64():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("name", ["tanh", "relu", "erf"])
def test_phase_diagram(benchmark, name):
    phi = activations.get(name)
    weight_var, bias_var = np.linspace(0.1, 4, 200)[:, None], np.linspace(0, 0.5, 200)[None]
    diagram = benchmark(lambda: phases.phase_diagram(phi, weight_var, bias_var))
    assert diagram.xi_c.shape == (200, 200)


def test_one_point(benchmark):
    tanh = activations.get("tanh")
    point = benchmark(lambda: phases.phase_diagram(tanh, 1.76, 0.05))
    assert point.phase == phases.ORDERED


def test_profile(benchmark):
    tanh = activations.get("tanh")
    profile = benchmark(lambda: jax.block_until_ready(polar.profile(tanh)))
    assert profile.chord.shape[1] == polar.ANGLES


def test_lengths(benchmark):
    tanh = activations.get("tanh")
    var = np.linspace(0.1, 15, 100)
    lengths = benchmark(lambda: signal.lengths(tanh, var, 100, 6.25, 0.09).block_until_ready())
    assert lengths.shape == (100, 100)


def test_correlations(benchmark):
    tanh = activations.get("tanh")
    start = np.linspace(-0.9, 0.9, 16)
    correlations = benchmark(
        lambda: signal.correlations(tanh, 4.079, 4.079, start, 20, 6.25, 0.09).block_until_ready()
    )
    assert correlations.shape == (16, 20)

"""A kernel over eight devices is the same kernel; a process of its own, as devices are for good."""

import os
import subprocess
import sys

SCRIPT = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from widelimit import activations
from widelimit.architectures import fully_connected
from widelimit.theory import blocks, kernels

assert jax.device_count() == 8
blocks.BLOCK = 16**2
spread = NamedSharding(Mesh(jax.devices(), ("rows",)), PartitionSpec("rows"))
x = jnp.asarray(np.random.default_rng(0).normal(size=(64, 5)), "float32")
y = jnp.asarray(np.random.default_rng(1).normal(size=(40, 5)), "float32")
for bias_var in (0.0, 0.1):  # by angle, by layers
    architecture = fully_connected(2, activations.get("relu"), 1.5, bias_var)
    for other in (None, y):
        alone = kernels.nngp_and_ntk(architecture, x, other)
        shared = kernels.nngp_and_ntk(architecture, jax.device_put(x, spread), other)
        for one, two in zip(shared, alone):
            assert len(one.sharding.device_set) == 8, one.sharding
            assert one.addressable_shards[0].data.shape[0] == 8
            np.testing.assert_allclose(one, two, rtol=1e-5)
"""


def test_eight_devices():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

"""What importing the package costs beside importing jax: whole processes, compare the two rows."""

import subprocess
import sys

import pytest

PACKAGE = (
    "import widelimit.theory.gaussian, widelimit.theory.shallow, widelimit.lab.shallow, "
    "widelimit.ledger"
)


@pytest.mark.parametrize("code", ["import jax.numpy", PACKAGE], ids=["jax", "widelimit"])
@pytest.mark.benchmark(group="import", min_rounds=5, warmup=True)
def test_import(benchmark, code):
    done = benchmark(lambda: subprocess.run([sys.executable, "-c", code], check=True))
    assert done.returncode == 0

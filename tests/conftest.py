"""What holds in every test: shapes and types are checked, and a warning is an error."""

import sys
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

REPO = Path(__file__).resolve().parents[1]

# Before anything imports the package: jaxtyping's shapes are then checked at every call.
sys.path.insert(0, str(REPO / "tests"))
install_import_hook("widelimit", "typechecking.checked")
sys.path.insert(0, str(REPO / "book"))  # the pipeline, which is not part of the package

# Each exception to "a warning is an error" is one line with its reason.
ALLOWED_WARNINGS: list[str] = []


def pytest_configure(config):
    for line in ["error", *ALLOWED_WARNINGS]:
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the repository."""
    return REPO

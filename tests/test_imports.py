"""Theory and lab never meet: the import contract holds, and a breach of it is noticed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def lint_imports(root: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=root,
        env={"PYTHONPATH": str(root / "code"), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def copy(repo, tmp_path) -> Path:
    """The package's source and its contract, to be spoiled."""
    no_caches = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(repo / "code", tmp_path / "code", ignore=no_caches)
    shutil.copy(repo / ".importlinter", tmp_path)
    return tmp_path


def test_the_contract_holds(repo):
    result = lint_imports(repo)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("theory/extra.py", "from widelimit import lab"),
        ("lab/extra.py", "def late():\n    import widelimit.theory"),
        ("activations.py", "import widelimit.theory"),
        ("architectures.py", "import widelimit.lab"),
    ],
)
def test_a_breach_is_noticed(copy, where, what):
    path = copy / "code" / "widelimit" / where
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{before}\n{what}\n", encoding="utf-8")
    result = lint_imports(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "BROKEN" in result.stdout


def test_a_detour_is_noticed(copy):
    package = copy / "code" / "widelimit"
    (package / "detour.py").write_text("import widelimit.lab\n", encoding="utf-8")
    (package / "theory" / "extra.py").write_text("import widelimit.detour\n", encoding="utf-8")
    assert lint_imports(copy).returncode == 1

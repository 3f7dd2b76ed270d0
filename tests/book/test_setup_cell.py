"""The set-up cell: silent and idle here; in Colab it installs and moves nothing."""

import ast
import importlib.metadata
import importlib.util
import subprocess
import sys
import types
from pathlib import Path

import pytest

from pipeline import setup_cell

URL = "https://github.com/someone/some-book"
VERSIONS = {"jax": "0.7.2", "jaxlib": "0.7.2", "flax": "0.11.2", "numpy": "2.1.3"}


@pytest.fixture
def package(monkeypatch):
    """A stand-in for ``widelimit`` that counts its set-ups."""
    stub = types.ModuleType("widelimit")
    stub.calls = 0

    def setup():
        stub.calls += 1
        return f"run {stub.calls}"

    stub.setup = setup
    monkeypatch.setitem(sys.modules, "widelimit", stub)
    return stub


@pytest.fixture
def colab(monkeypatch, package):
    """Colab without the package: what pip was asked, and what was in the constraints then."""
    asked = types.SimpleNamespace(commands=[], constraints="", returncode=0, stderr="")

    def run(command, **options):
        asked.commands.append(command)
        asked.constraints = Path(command[command.index("--constraint") + 1]).read_text()
        return subprocess.CompletedProcess(command, asked.returncode, "", asked.stderr)

    find_spec = importlib.util.find_spec
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")
    monkeypatch.delenv("WIDELIMIT_SOURCE", raising=False)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(importlib.metadata, "version", VERSIONS.__getitem__)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n == "widelimit" else find_spec(n)
    )
    return asked


def run_cell() -> dict:
    namespace: dict = {}
    exec(setup_cell.source(URL), namespace)
    return namespace


def test_elsewhere_it_installs_nothing_and_can_run_again(monkeypatch, package, capfd):
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
    assert run_cell()["run"] == "run 1"
    assert run_cell()["run"] == "run 2"
    assert capfd.readouterr() == ("", "")


def test_in_colab_pip_may_not_move_what_is_installed(colab, package, capfd):
    assert run_cell()["run"] == "run 1"
    (command,) = colab.commands
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[-1] == f"widelimit @ git+{URL}"
    assert sorted(colab.constraints.split()) == sorted(f"{k}=={v}" for k, v in VERSIONS.items())
    assert capfd.readouterr() == ("", "")


def test_in_colab_a_second_run_installs_nothing(colab, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    run_cell()
    assert colab.commands == []


def test_the_source_can_be_named(colab, monkeypatch):
    monkeypatch.setenv("WIDELIMIT_SOURCE", "file:///content/wide-limit")
    run_cell()
    assert colab.commands[0][-1] == "widelimit @ file:///content/wide-limit"


def test_a_failure_of_pip_is_shown(colab):
    colab.returncode, colab.stderr = 1, "first line\n" * 30 + "ResolutionImpossible"
    with pytest.raises(RuntimeError, match=r"could not install widelimit from git\+https") as told:
        run_cell()
    assert "ResolutionImpossible" in str(told.value)
    assert str(told.value).count("first line") == 19


def test_it_ends_in_the_one_call_and_shows_nothing():
    *_, last = ast.parse(setup_cell.source(URL)).body
    assert ast.unparse(last) == "run = widelimit.setup()"


def test_it_is_written_in_place_of_whatever_stood_there():
    text = "# T\n\n```{code-cell} python\n:tags: [setup]\n\nold = 1\n```\n\nprose\n"
    once = setup_cell.write_into(text, URL, "01-a.md")
    assert once == f"# T\n\n{setup_cell.block(URL)}\n\nprose\n"
    assert setup_cell.write_into(once, URL, "01-a.md") == once
    other = once.replace("code-cell} python", "code-cell} ipython3")
    assert setup_cell.write_into(other, URL, "01-a.md") == other
    moved = setup_cell.write_into(once, URL + "-moved", "01-a.md")
    assert f"git+{URL}-moved" in moved


@pytest.mark.parametrize("count", [0, 2])
def test_a_chapter_has_exactly_one(count):
    text = "# T\n\n" + "```{code-cell} python\n:tags: [setup, hide-input]\n\n```\n\n" * count
    with pytest.raises(SystemExit, match=f"01-a.md has {count} set-up cells"):
        setup_cell.write_into(text, URL, "01-a.md")

"""``make colab``: a chapter installs, moves nothing, runs to its end, and every claim is there."""

import importlib.metadata
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from pipeline import colab, execute, notebook
from pipeline.__main__ import main
from pipeline.book import Book

PINNED = ("flax", "ipykernel", "ipython", "jax", "jaxlib", "numpy")

# Builds a wheel with nothing but the standard library, so that pip asks no index for anything.
BACKEND = '''\
"""A build backend in one function."""

import pathlib
import zipfile


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "widelimit-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w") as wheel:
        for path in sorted(pathlib.Path("code").rglob("*.py")):
            wheel.write(path, path.relative_to("code"))
        about = "widelimit-1.0.dist-info"
        fields = "Metadata-Version: 2.1\\nName: widelimit\\nVersion: 1.0\\n"
        wheel.writestr(f"{about}/METADATA", fields)
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr(f"{about}/RECORD", "")
    return name
'''
PYPROJECT = """\
[project]
name = "widelimit"
version = "1.0"

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# What a package does to an environment in which it brings a newer numpy.
MOVES_NUMPY = """
from pathlib import Path

about = Path(__file__).parents[1] / "numpy-99.0.dist-info"
about.mkdir()
(about / "METADATA").write_text("Metadata-Version: 2.1\\nName: numpy\\nVersion: 99.0\\n")
"""


def git(book, *arguments):
    command = ["git", "-C", str(book.root), "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*command, *arguments], check=True)


def commit(book):
    git(book, "add", "--all")
    git(book, "commit", "-q", "-m", "all")


def make_installable(book):
    """Give the small book pins, a package that pip can install, and a commit."""
    (book.root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (book.root / "backend.py").write_text(BACKEND, encoding="utf-8")
    pins = "".join(f"{name}=={importlib.metadata.version(name)}\n" for name in PINNED)
    (book.root / "constraints-colab.txt").write_text("# pins\n" + pins, encoding="utf-8")
    (book.root / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    git(book, "init", "-q")
    commit(book)


@pytest.fixture
def standin(monkeypatch, tmp_path):
    """In place of Colab's packages, those of this environment, less the book's own."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for path in Path(notebook.nbformat.__file__).parents[1].iterdir():
        if "widelimit" not in path.name:
            (shelf / path.name).symlink_to(path)
    made = []

    def install(python, folder, pins, env):
        venv.create(folder, with_pip=False, symlinks=True)
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "shelf.pth").write_text(f"{shelf}\n", encoding="utf-8")
        made.append(folder)
        return folder / "bin" / "python"

    def environment(book):
        env = actual(book)
        # The pip of this environment may be too old for the address git+file:.
        return {**env, "WIDELIMIT_SOURCE": env["WIDELIMIT_SOURCE"].removeprefix("git+")}

    actual = colab.environment
    monkeypatch.setattr(colab, "install", install)
    monkeypatch.setattr(colab, "environment", environment)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    return made


def test_a_book_whose_claims_hold(book, standin, monkeypatch, capfd):
    # Neither may reach the kernel: at this seed the claim fails, and this path holds a package.
    monkeypatch.setenv("WIDELIMIT_SEED", "13")
    monkeypatch.setenv("PYTHONPATH", str(book.package.parent))
    make_installable(book)
    (book.root / "uncommitted.txt").write_text("left behind\n", encoding="utf-8")
    stored = book.chapters()[0].notebook.read_bytes()
    main(["--root", str(book.root), "colab", "--chapter", "01", "--python", sys.executable])
    said, _ = capfd.readouterr()
    version = importlib.metadata.version
    assert "changes not committed, and so not tried: 1\n" in said
    assert f"jax {version('jax')}, flax {version('flax')}, ipython {version('ipython')}; " in said
    assert "; 1 of 1 claims as announced" in said
    assert "every claim of 1 chapters is as announced under Colab's pins" in said
    assert book.chapters()[0].notebook.read_bytes() == stored
    (environment,) = standin
    assert not environment.exists()
    assert book.root not in environment.parents


LISTING = """
```{code-cell} python
import os, sys
raise RuntimeError(f"{os.listdir()} {sorted(k for k in os.environ if 'WIDELIMIT' in k)}")
```
"""


def test_every_reason_is_given(book, standin, capfd):
    """A claim fails and numpy moves in one chapter, the next stops, the third has no notebook."""
    first = book.chapters()[0]
    for slug, text in (("02-stops", LISTING), ("03-bare", "")):
        copy = first.text.with_name(f"{slug}.md")
        copy.write_text(first.text.read_text(encoding="utf-8") + text, encoding="utf-8")
    second = book.chapters("02")[0]
    cells = notebook.from_text(book, second)
    notebook.keep_outputs(cells, notebook.read(first.notebook))
    claims = [cell for cell in notebook.code_cells(cells) if "run.claim" in cell.source]
    cells.cells = [cell for cell in cells.cells if cell not in claims] + claims
    notebook.write(cells, second.notebook)
    for name, old, new in (
        ("notebook.py", "good = self.seed != 13", "good = False"),
        ("__init__.py", '"""A stand-in for the package."""', MOVES_NUMPY),
    ):
        source = (book.package / name).read_text(encoding="utf-8")
        assert source.count(old) == 1
        (book.package / name).write_text(source.replace(old, new), encoding="utf-8")
    make_installable(book)
    with pytest.raises(SystemExit) as told:
        colab.colab(book, "", sys.executable)
    reasons = str(told.value)
    numpy = importlib.metadata.version("numpy")
    assert f"01-small: numpy was {numpy} and is 99.0" in reasons
    assert "01-small: claim 'small/first' is not as announced:\n" in reasons
    assert "does not hold" in reasons
    assert "02-stops: it stopped:\n" in reasons
    # It stands alone, and knows of the book what Colab is told.
    assert "['02-stops.ipynb'] ['WIDELIMIT_PROGRESS', 'WIDELIMIT_SOURCE']" in reasons
    assert "02-stops: 1 stored claims were not computed: small/first" in reasons
    assert "03-bare: the commit has no notebook of it" in reasons
    assert "01-small: 1 stored claims" not in reasons
    said, _ = capfd.readouterr()
    assert "0 of 1 claims as announced" in said
    assert "not committed" not in said
    assert len(set(standin)) == 2


def test_the_set_up_cell_must_be_what_installs(book, standin, monkeypatch):
    """A package that is there before would be tried in place of the commit's."""
    make_installable(book)
    install = colab.install

    def spoiled(python, folder, pins, env):
        fresh = install(python, folder, pins, env)
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "checkout.pth").write_text(f"{book.package.parent}\n", encoding="utf-8")
        return fresh

    monkeypatch.setattr(colab, "install", spoiled)
    with pytest.raises(SystemExit, match="01-small: the set-up cell did not install widelimit"):
        colab.colab(book, "01", sys.executable)


@pytest.fixture
def path(monkeypatch, tmp_path):
    """A PATH of one folder, and how to put an executable into it."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(name, body):
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        script.chmod(0o755)
        return str(script)

    return put


def test_a_kernel_that_never_starts_stops_the_chapter(book, path, monkeypatch):
    # nbclient would clean up at exit the kernel that it never had, and complain.
    monkeypatch.setattr("atexit.register", lambda *_: None)
    cells = notebook.read(book.chapters()[0].notebook)
    with pytest.raises(execute.ChapterError, match="Kernel died"):
        execute.run(cells, book.root, dict(os.environ), Path(path("broken", "exit 1")))


OURS = ".".join(map(str, sys.version_info[:3]))
RUNS = f"""exec '{sys.executable}' "$@" """


def test_colabs_python_is_tried_where_it_runs(path):
    assert colab.interpreter("") == (sys.executable, OURS)
    path("python3.13", "echo 'command not found' >&2; exit 127")
    assert colab.interpreter("") == (sys.executable, OURS)
    path("python3.13", RUNS)
    assert colab.interpreter("") == ("python3.13", OURS)


def test_the_python_named_comes_first_and_must_run(path):
    path("python3.13", RUNS)
    named = path("mine", RUNS)
    assert colab.interpreter(named) == (named, OURS)
    for wrong in ("nothing-here", path("refuses", "exit 1"), path("echo", "echo not a version")):
        with pytest.raises(SystemExit, match=f"COLAB_PYTHON is '{wrong}', which does not run"):
            colab.interpreter(wrong)


def test_another_python_than_colabs_is_announced():
    assert colab.about_python("py", "3.13.0") == "Python 3.13.0, as in Colab: py"
    for version in ("3.11.7", "3.1.3", "3.14.0"):
        assert f"Python {version}, not Colab's 3.13" in colab.about_python("py", version)


def test_without_a_commit_there_is_nothing_to_try(book, tmp_path):
    with pytest.raises(SystemExit, match="there is no commit to try; git says:\nfatal: not a git"):
        colab.clone(book, tmp_path / "clone")
    git(book, "init", "-q")
    with pytest.raises(SystemExit, match="there is no commit to try"):
        colab.clone(book, tmp_path / "clone")


def test_a_shallow_clone_is_refused(book, tmp_path):
    """From one, pip's git would start processes without end."""
    git(book, "init", "-q")
    commit(book)
    (book.root / "more").write_text("a second commit, which is where the history is cut")
    commit(book)
    source, cut = book.root.as_uri(), tmp_path / "cut"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", source, str(cut)], check=True)
    with pytest.raises(SystemExit, match="git fetch --unshallow"):
        colab.clone(Book(cut), tmp_path / "clone")


def test_a_commit_without_a_chapter_is_not_a_success(book, tmp_path):
    for chapter in book.chapters():
        chapter.text.unlink()
    git(book, "init", "-q")
    commit(book)
    with pytest.raises(SystemExit, match="the commit has no chapter to try"):
        colab.colab(book, "", sys.executable)


def test_the_clone_is_the_commit(book, tmp_path, capsys):
    git(book, "init", "-q")
    commit(book)
    text = book.chapters()[0].text
    before = text.read_text(encoding="utf-8")
    text.write_text("changed", encoding="utf-8")
    clone = colab.clone(book, tmp_path / "clone")
    assert clone.root == tmp_path / "clone"
    assert clone.chapters()[0].text.read_text(encoding="utf-8") == before
    said = capsys.readouterr().out
    assert "changes not committed, and so not tried: 1\n" in said
    head = subprocess.run(
        ["git", "-C", str(clone.root), "rev-parse", "HEAD"], capture_output=True, text=True
    ).stdout
    assert f"trying commit {head[:12]}\n" in said


def test_the_kernel_is_told_it_is_in_colab_and_no_more(monkeypatch):
    for name in ("PYTHONPATH", "WIDELIMIT_DRAW", "WIDELIMIT_SEED", "WIDELIMIT_SCALE"):
        monkeypatch.setenv(name, "0")
    env = colab.environment(Book(Path("/some/clone")))
    own = {k: v for k, v in env.items() if k.startswith("WIDELIMIT_")}
    assert own == {"WIDELIMIT_PROGRESS": "0", "WIDELIMIT_SOURCE": "git+file:///some/clone"}
    assert env["COLAB_RELEASE_TAG"]
    assert "PYTHONPATH" not in env
    assert env["PATH"] == os.environ["PATH"]


def test_colabs_pins_hold_what_the_set_up_cell_keeps(repo):
    names = colab.pinned(repo / "constraints-colab.txt")
    assert {"jax", "jaxlib", "flax", "numpy", "ipython", "ipykernel"} <= set(names)
    assert not [name for name in names if name.startswith("#")]
    assert "widelimit" not in names


BEFORE = {"python": "3.13.0", "jax": "0.7.2", "numpy": "2.1.3", "widelimit": None}


def test_what_moved_is_named_with_both_versions():
    assert list(colab.moved(BEFORE, {**BEFORE, "widelimit": "0.1.0"})) == []
    after = {**BEFORE, "jax": "0.10.2", "numpy": None, "widelimit": "0.1.0"}
    assert list(colab.moved(BEFORE, after)) == [
        "jax was 0.7.2 and is 0.10.2; installing may move no pin",
        "numpy was 2.1.3 and is None; installing may move no pin",
    ]


@pytest.mark.parametrize(("before", "after"), [(None, None), ("0.1.0", "0.1.0"), ("0.1", "0.2")])
def test_the_package_must_be_what_was_added(before, after):
    said = colab.moved({"widelimit": before}, {"widelimit": after})
    assert [line.partition(":")[0] for line in said] == [
        "the set-up cell did not install widelimit"
    ]


def test_versions_are_those_of_the_interpreter_asked():
    found = colab.versions(Path(sys.executable), ["numpy", "no-such-package"], dict(os.environ))
    assert found == {
        "python": OURS,
        "numpy": importlib.metadata.version("numpy"),
        "no-such-package": None,
    }


def test_the_environment_is_made_and_then_filled(monkeypatch, tmp_path):
    commands = []
    monkeypatch.setattr(colab, "_must", lambda command, *_: commands.append(command))
    fresh = colab.install("python3.13", tmp_path / "new", tmp_path / "pins.txt", {})
    assert fresh == tmp_path / "new" / "bin" / "python"
    made, filled = commands
    assert made == ["python3.13", "-m", "venv", "--upgrade-deps", str(tmp_path / "new")]
    assert filled[:4] == [str(fresh), "-m", "pip", "install"]
    assert filled[-2:] == ["--requirement", str(tmp_path / "pins.txt")]


def test_a_command_that_fails_shows_the_end_of_what_it_said(tmp_path):
    script = "import sys; print('line\\n' * 40); sys.exit('no matching release')"
    with pytest.raises(SystemExit, match="cannot be installed; python") as told:
        colab._must([sys.executable, "-c", script], "the pins cannot be installed")
    assert str(told.value).count("line") < 20
    assert str(told.value).endswith("no matching release")

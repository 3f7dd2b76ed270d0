"""``make colab``: each chapter as Colab runs it, its notebook alone beside Colab's own packages.

A chapter gets a new environment that holds Colab's pins and not the book's package, and an empty
folder that holds its stored notebook and nothing else. Its set-up cell is told that it is in Colab
and installs the package from a clone of the last commit. Nothing pinned may move, every cell must
run, and every claim must come out as the chapter announces it. Outputs are not compared:
``jax.random.normal`` differs in the last bits between versions of jax.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import execute, notebook
from pipeline.book import Book, Chapter
from pipeline.check import claims
from widelimit.ledger.render import to_text

COLAB_PYTHON = "3.13"
_PACKAGE = "widelimit"

_VERSIONS = """\
import json, platform, sys
from importlib import metadata

def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

found = {name: version(name) for name in sys.argv[1:]}
print(json.dumps({"python": platform.python_version(), **found}))
"""


def interpreter(named: str) -> tuple[str, str]:
    """The Python to try and its version: ``named``, else python3.13 if it runs, else this one.

    Raises:
      SystemExit: the one named does not run.
    """
    for python in [named] if named else [f"python{COLAB_PYTHON}", sys.executable]:
        if version := _version_of(python):
            return python, version
    raise SystemExit(f"COLAB_PYTHON is {named!r}, which does not run; give a Python's path")


def _version_of(python: str) -> str | None:
    """An interpreter's version; None where there is none, or a shim that refuses to run one."""
    try:
        asked = subprocess.run([python, "-c", _VERSIONS], capture_output=True, text=True)
        return json.loads(asked.stdout)["python"]
    except (OSError, ValueError):
        return None


def about_python(python: str, version: str) -> str:
    """One line on which Python is tried, which says so when it is not Colab's."""
    if version.startswith(f"{COLAB_PYTHON}."):
        return f"Python {version}, as in Colab: {python}"
    return f"Python {version}, not Colab's {COLAB_PYTHON} (COLAB_PYTHON names another): {python}"


def clone(book: Book, folder: Path) -> Book:
    """The book as its last commit has it, cloned into ``folder``; says what is left behind.

    Raises:
      SystemExit: there is no commit to clone, or the history is cut off.
    """
    git = ["git", "-C", str(book.root)]
    commit = _must([*git, "rev-parse", "--verify", "HEAD"], "there is no commit to try").strip()
    shallow = _must([*git, "rev-parse", "--is-shallow-repository"], "git cannot read it").strip()
    if shallow == "true":
        # pip clones without file contents; from a shallow clone git then asks itself without end.
        raise SystemExit("the history is cut off; complete it first: git fetch --unshallow")
    if changed := _must([*git, "status", "--porcelain"], "git cannot read it").splitlines():
        print(f"changes not committed, and so not tried: {len(changed)}")
    _must(["git", "clone", "--quiet", str(book.root), str(folder)], "git cannot clone the book")
    print(f"trying commit {commit[:12]}", flush=True)
    return Book(folder)


def environment(book: Book) -> dict[str, str]:
    """What the kernel sees: Colab's mark, where the package is to be had, no path to a checkout."""
    env = execute.environment(book, COLAB_RELEASE_TAG="make-colab")
    env["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # the old kernel's debugger warns at every start
    env["WIDELIMIT_SOURCE"] = f"git+{book.root.as_uri()}"
    for name in ("PYTHONPATH", "PIP_CONSTRAINT", "PIP_TARGET", "PIP_USER", "VIRTUAL_ENV"):
        env.pop(name, None)
    return env


def pinned(constraints: Path) -> list[str]:
    """The names of the packages that a constraints file pins."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    return [line.partition("==")[0].strip() for line in lines if "==" in line]


def install(python: str, folder: Path, pins: Path, env: dict[str, str]) -> Path:
    """Make a new environment of ``python`` that holds the pins; returns its interpreter.

    Raises:
      SystemExit: it cannot be made, with the end of what was said.
    """
    # The pip that Python 3.11 brings refuses the address git+file:, which only this trial uses.
    venv = [python, "-m", "venv", "--upgrade-deps", str(folder)]
    _must(venv, "the environment cannot be made", env)
    fresh = folder / "bin" / "python"
    pip = [str(fresh), "-m", "pip", "install", "--quiet", "--requirement", str(pins)]
    _must(pip, f"the pins of {pins.name} cannot be installed", env)
    return fresh


def _must(command: list[str], failure: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise SystemExit(f"{failure}; {Path(command[0]).name} says:\n{tail}")
    return done.stdout


def versions(python: Path, names: list[str], env: dict[str, str]) -> dict[str, str | None]:
    """What an interpreter finds installed, by name, and its own version as ``python``."""
    said = _must([str(python), "-c", _VERSIONS, *names], "the environment cannot be read", env)
    return json.loads(said)


def moved(before: dict[str, str | None], after: dict[str, str | None]) -> Iterator[str]:
    """What the set-up cell did that it may not do, and what it left undone."""
    for name in before:
        if name != _PACKAGE and before[name] != after[name]:
            yield f"{name} was {before[name]} and is {after[name]}; installing may move no pin"
    if before[_PACKAGE] or not after[_PACKAGE]:
        yield f"the set-up cell did not install {_PACKAGE}: it found one, or stopped before"


def unmet(stored: list[dict], computed: list[dict]) -> Iterator[str]:
    """Claims that did not come out as announced, and stored ones that never came out."""
    for claim in computed:
        if not claim["as_expected"]:
            yield f"claim {claim['id']!r} is not as announced:\n{to_text(claim)}"
    missing = sorted({claim["id"] for claim in stored} - {claim["id"] for claim in computed})
    if missing:
        yield f"{len(missing)} stored claims were not computed: {', '.join(missing)}"


def attempt(book: Book, chapter: Chapter, python: str, folder: Path) -> list[str]:
    """Run one chapter of the clone ``book`` in ``folder``; returns what is wrong with it."""
    if not chapter.notebook.is_file():
        return ["the commit has no notebook of it; run 'make execute' and commit what it wrote"]
    pins, env = book.root / "constraints-colab.txt", environment(book)
    names = [*pinned(pins), _PACKAGE]
    print(f"{chapter.slug}: installing Colab's pins, a minute or two ...", flush=True)
    begin = time.perf_counter()
    fresh = install(python, folder / "environment", pins, env)
    installing = time.perf_counter() - begin
    before = versions(fresh, names, env)
    alone = folder / "alone"
    alone.mkdir()
    cells = notebook.read(Path(shutil.copy(chapter.notebook, alone)))
    stored = claims(cells)
    for cell in notebook.code_cells(cells):
        cell.outputs, cell.execution_count = [], None
    print(f"{chapter.slug}: running, its set-up cell installs the package ...", flush=True)
    begin = time.perf_counter()
    stopped = []
    try:
        execute.run(cells, alone, env, fresh)
    except execute.ChapterError as error:
        stopped = [f"it stopped:\n{error}"]
    running = time.perf_counter() - begin
    after, computed = versions(fresh, names, env), claims(cells)
    good = sum(claim["as_expected"] for claim in computed)
    about = ", ".join(f"{name} {after[name]}" for name in ("python", "jax", "flax", "ipython"))
    seconds = f"pins installed in {installing:.0f} s, notebook run in {running:.0f} s"
    print(f"{chapter.slug}: {about}; {seconds}; {good} of {len(computed)} claims as announced")
    return [*stopped, *moved(before, after), *unmet(stored, computed)]


def colab(book: Book, number: str, named: str) -> None:
    """Try the last commit's chapters, each without what another installed; exits 1 with reasons."""
    python, version = interpreter(named)
    print(about_python(python, version))
    failed = []
    with TemporaryDirectory(prefix="wide-limit-") as place:
        committed = clone(book, Path(place) / "clone")
        chapters = committed.chapters(number)
        if not chapters:
            raise SystemExit("the commit has no chapter to try")
        for chapter in chapters:
            with TemporaryDirectory(prefix="wide-limit-") as folder:
                wrong = attempt(committed, chapter, python, Path(folder))
            failed += [f"{chapter.slug}: {reason}" for reason in wrong]
    if failed:
        raise SystemExit("\n".join(failed))
    print(f"every claim of {len(chapters)} chapters is as announced under Colab's pins")

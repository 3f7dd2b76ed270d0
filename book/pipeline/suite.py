"""``make test``: everything that must pass, each step run whatever the others said."""

from __future__ import annotations

import subprocess
import sys
import time

from pipeline.book import Book
from pipeline.execute import environment

_PYTEST = [sys.executable, "-m", "pytest", "-q", "-n", "2"]
# One file, one worker: a notebook's cells share a kernel.
_NBVAL = [
    *("--dist", "loadfile", "--nbval", "--nbval-current-env"),
    *("--nbval-cell-timeout", "900", "--nbval-sanitize-with", "tests/sanitize.cfg"),
]


def _rerun(book: Book, number: str = "") -> list[str]:
    """The command that runs chapters again; all by default."""
    notebooks = [f"chapters/{chapter.notebook.name}" for chapter in book.chapters(number)]
    return [*_PYTEST, *_NBVAL, *notebooks]


def steps(book: Book) -> dict[str, list[str]]:
    """The commands, by name."""
    # Benchmarks measure nothing under two workers: 'make bench' runs them. Pages are not built yet.
    others = ["--ignore=tests/benchmarks", "--ignore=tests/site"]
    chosen = {
        "package, pipeline and stored chapters": [*_PYTEST, *others, "tests"],
        "chapters run again (nbval)": _rerun(book),
        "site without a warning": ["make", "--no-print-directory", "site"],
        # Where there is no browser, this says how many tests were skipped, and why.
        "pages in a browser": [*_PYTEST, "--dist", "worksteal", "-rfEs", "tests/site"],
    }
    if not book.chapters():
        del chosen["chapters run again (nbval)"]
    return chosen


def elsewhere(book: Book, number: str = "") -> None:
    """``make elsewhere``: the chapters once more, rounded as an older processor rounds.

    Without AVX and fused multiplications sums are rounded elsewhere, and what was trained ends
    elsewhere. An output that differs holds measured digits that nobody marked.
    """
    if not book.chapters(number):
        return
    older = {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2", "OPENBLAS_CORETYPE": "Prescott"}
    env = environment(book, **older)
    raise SystemExit(subprocess.run(_rerun(book, number), cwd=book.root, env=env).returncode)


def test(book: Book) -> None:
    """Run every step, then say which passed; exits 1 if one did not."""
    rows = []
    for name, command in steps(book).items():
        print(f"\n=== {name}", flush=True)
        # nbval's kernels inherit what chapters run in: default seed and scale, no progress bars.
        env = environment(book) if "--nbval" in command else None
        begin = time.perf_counter()
        code = subprocess.run(command, cwd=book.root, env=env).returncode
        rows.append((name, code == 0, time.perf_counter() - begin))
    print("\n=== summary")
    for name, passed, seconds in rows:
        print(f"{'passed' if passed else 'FAILED'}  {seconds:6.1f} s  {name}")
    failed = sum(not passed for _, passed, _ in rows)
    print(f"steps: {len(rows) - failed} passed, {failed} failed")
    if failed:
        raise SystemExit(1)

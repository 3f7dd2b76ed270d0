"""``make seeds``: does every claim hold, and reject its rival, at seeds that nobody has tried?"""

from __future__ import annotations

import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from pipeline import execute, notebook
from pipeline.book import Book, Chapter
from pipeline.check import claims

AT_ONCE = 2
# ✓ as the chapter says, e a disagreement that the chapter announces, ✗ neither, ? never computed.
GOOD = {"✓", "e"}
_REGRESSION = "regression-seeds.txt"
_HEADER = "# Seeds at which a claim once failed, one a line; every 'make seeds' tries them.\n"


@dataclass(frozen=True)
class Outcome:
    """One chapter at one seed: the mark of each claim, or why there is none."""

    chapter: str
    seed: int
    marks: dict[str, str]
    error: str = ""


def draw(book: Book, count: int) -> tuple[str, list[int]]:
    """``count`` seeds that follow from the commit, so that nobody chooses them."""
    command = ["git", "-C", str(book.root), "rev-parse", "HEAD"]
    git = subprocess.run(command, capture_output=True, text=True)
    if git.returncode != 0:
        raise SystemExit(
            f"seeds are drawn from the commit, and git says: {git.stderr.strip()}; "
            "give them instead: make seeds SEEDS='1 2 3'"
        )
    commit = git.stdout.strip()
    return commit, random.Random(int(commit, 16)).sample(range(1, 2**31), count)


def remembered(book: Book) -> dict[str, list[int]]:
    """The seeds that ever failed, by chapter."""
    path = book.root / "chapters" / _REGRESSION
    found: dict[str, list[int]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        if line.strip() and not line.startswith("#"):
            chapter, seed = line.split()
            found.setdefault(chapter, []).append(int(seed))
    return found


def remember(book: Book, failed: list[Outcome]) -> None:
    """Add the failed seeds to the regression set."""
    pairs = {(slug, seed) for slug, seeds in remembered(book).items() for seed in seeds}
    pairs |= {(outcome.chapter, outcome.seed) for outcome in failed}
    lines = "".join(f"{slug} {seed}\n" for slug, seed in sorted(pairs))
    (book.root / "chapters" / _REGRESSION).write_text(_HEADER + lines, encoding="utf-8")


def mark(claim: dict) -> str:
    """A claim's mark; ``as_expected`` already asks for the rival's rejection."""
    if not claim["as_expected"]:
        return "✗"
    return "e" if claim["expected_disagreement"] else "✓"


def at_seed(book: Book, chapter: Chapter, seed: int) -> Outcome:
    """Run a chapter at a seed, without its drawings, and read its claims."""
    cells = notebook.from_text(book, chapter)
    env = execute.environment(book, WIDELIMIT_SEED=str(seed), WIDELIMIT_DRAW="0")
    try:
        execute.run(cells, chapter.text.parent, env)
    except execute.ChapterError as error:
        return Outcome(chapter.slug, seed, {}, str(error))
    return Outcome(chapter.slug, seed, {claim["id"]: mark(claim) for claim in claims(cells)})


def table(chapter: str, outcomes: list[Outcome]) -> tuple[str, list[Outcome]]:
    """Claims as rows, seeds as columns; and the outcomes at which something failed."""
    rows = list(dict.fromkeys(name for outcome in outcomes for name in outcome.marks))
    failed = [
        o for o in outcomes if o.error or any(o.marks.get(row, "?") not in GOOD for row in rows)
    ]
    wide = max([len(row) for row in rows] + [len(chapter)])
    heads = [str(outcome.seed) for outcome in outcomes]
    lines = [f"{chapter:{wide}}  {' '.join(heads)}"]
    for row in rows:
        marks = [outcome.marks.get(row, "?") for outcome in outcomes]
        cells = " ".join(f"{m:^{len(h)}}" for m, h in zip(marks, heads, strict=True))
        good = sum(m in GOOD for m in marks)
        lines.append(f"{row:{wide}}  {cells}  {good}/{len(marks)}")
    if not rows:
        lines.append("(no claims)")
    return "\n".join(lines), failed


def seeds(book: Book, number: str, count: int, chosen: list[int]) -> None:
    """Run, print the table of each chapter, remember what failed; exits 1 if anything did."""
    if not chosen:
        commit, chosen = draw(book, count)
        print(f"{count} seeds drawn from commit {commit[:12]}")
    print(f"repeat with: make seeds SEEDS='{' '.join(map(str, chosen))}'", flush=True)
    old = remembered(book)
    chapters = book.chapters(number)
    jobs = [
        (chapter, seed)
        for chapter in chapters
        for seed in dict.fromkeys([*old.get(chapter.slug, []), *chosen])
    ]
    done: dict[tuple[str, int], Outcome] = {}
    begin = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for future in as_completed([pool.submit(at_seed, book, *job) for job in jobs]):
            outcome = future.result()
            done[outcome.chapter, outcome.seed] = outcome
            marks = "".join(outcome.marks.values())
            said = "stopped" if outcome.error else marks or "no claims"
            seconds = time.perf_counter() - begin
            place = f"{outcome.chapter} at seed {outcome.seed}"
            print(f"[{len(done)}/{len(jobs)}, {seconds:.0f} s] {place}: {said}", flush=True)
    failed: list[Outcome] = []
    for chapter in chapters:
        outcomes = [done[c.slug, seed] for c, seed in jobs if c.slug == chapter.slug]
        text, bad = table(chapter.slug, outcomes)
        failed += bad
        print(f"\n{text}")
        for outcome in bad:
            if outcome.error:
                print(f"\n{chapter.slug} stopped at seed {outcome.seed}:\n{outcome.error}")
    print()
    if failed:
        remember(book, failed)
        raise SystemExit(
            f"{len(failed)} of {len(jobs)} runs failed; chapters/{_REGRESSION} remembers their "
            "seeds. A claim that fails is looked into, never tuned away"
        )
    print(f"every claim of {len(chapters)} chapters is as announced in all {len(jobs)} runs")

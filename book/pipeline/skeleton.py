"""``make new``: a chapter with the whole anatomy, in which only the writing is missing."""

from __future__ import annotations

import re

from pipeline import setup_cell
from pipeline.book import Book, Chapter
from pipeline.sync import sync_chapter

_SKELETON = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# @TITLE@

@SETUP@

## Where we stand

*The question the paper asked, in a paragraph. Its place on the line: what it inherits, what it
hands on.*

## Words and symbols

*The paper's notation beside the book's, and the traps.*

| here | in the paper | meaning | range |
|---|---|---|---|
| $N$ | | width of the hidden layer | integer ≥ 1 |

## The result

:::{prf:definition} *Name*

*Every symbol is introduced, with its type and range.*

:::

:::{prf:theorem} *Name (author year, number)*

*The conditions; then the statement.*

:::

*The derivation, line by line. Where it is a sketch: what is skipped, and where the full proof is.*

## The key figures, rebuilt

*The paper's settings, ours, and every difference between them. Then the lines of code that are the
theory, and `run.show(draw, data, number=..., caption=..., alt=...)`, one message a figure, in a
cell that is tagged hide-input and begins with its title, as in `# @title Figure @NUMBER@.1`.*

## Claims

*One claim a cell, as the cell's last expression: prediction, measurement, rival, verdict.*

## What it does not say

*Limits, failed predictions, what came next.*

## Exercises

@EXERCISES@

## For the reading group

*What to read in the paper (sections, in order), what to skip, and how many minutes it takes.*

**Five questions for discussion**

1. *None of them has a one-line answer.*
2.
3.
4.
5.

**For the leader.** *What to prepare, where the group will stop, what to draw on the board.*
"""

# A solution folds in the book and in Colab alike: a directive would do so only in the book.
_EXERCISE = """\
**Exercise {number}.{i}** ({stars}, *by hand or computer*). *The task.*

<details><summary>Solution</summary>

*The full solution. Code goes into a cell of its own after it, tagged hide-cell, and runs; it
begins with its title, `# @title Solution of exercise {number}.{i}`.*

</details>"""


def new(book: Book, slug: str) -> None:
    """Write the skeleton of a chapter and its notebook, and say what is left to do."""
    if not re.fullmatch(r"[0-9]{2}(-[a-z0-9]+)+", slug):
        raise SystemExit(f"{slug!r} is no chapter name; write it as in: make new CH=02-slug")
    chapter = Chapter(book.root / "chapters" / f"{slug}.md")
    if chapter.text.exists():
        raise SystemExit(f"{chapter.text.name} exists; choose another name or delete it first")
    graded = ["★", "★", "★★", "★★", "★★★"]
    number = int(slug[:2])
    tasks = [_EXERCISE.format(stars=s, number=number, i=i) for i, s in enumerate(graded, 1)]
    parts = {
        "@TITLE@": f"{number} {slug[3:].replace('-', ' ').capitalize()}",
        "@SETUP@": setup_cell.block(book.repository),
        "@NUMBER@": str(number),
        "@EXERCISES@": "\n\n".join(tasks),
    }
    text = _SKELETON
    for mark, part in parts.items():
        text = text.replace(mark, part)
    chapter.text.parent.mkdir(exist_ok=True)
    chapter.text.write_text(text, encoding="utf-8")
    sync_chapter(book, chapter)
    print(f"chapters/{slug}.md and .ipynb are written. Next:")
    print(f"  add '- file: chapters/{slug}' to its part in _toc.yml, write, then")
    print(f"  make execute CH={slug[:2]}")

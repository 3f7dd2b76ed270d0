"""A book of one small chapter, with a package of its own that needs neither jax nor matplotlib."""

import shutil
from pathlib import Path

import pytest

from pipeline import execute
from pipeline.book import Book

REPO = Path(__file__).resolve().parents[2]

CHAPTER = """\
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

# A small chapter

```{code-cell} python
:tags: [setup, hide-input]

```

Some prose.

```{code-cell} python
from widelimit import words

words.greet()
```

+++

More prose.

```{code-cell} python
run.show(alt="A straight line.", caption="A line rises.")
```

```{code-cell} python
run.claim("small/first")
```
"""

LINE = """\
parts:
  - title: Small
    chapters:
      - {slug: 01-small, title: Small, papers: A 1994, asks: Why, track: signals}
      - {slug: 02-next, title: Next, papers: B 1995, asks: And, track: kernel, from: 01-small}
      - {slug: 03-more, title: More, papers: C 1996, asks: So, track: particles}
"""

# The seed moves the measured digits; seed 13 turns the verdict; seed 99 stops the chapter.
PACKAGE = {
    "__init__.py": '''\
"""A stand-in for the package."""


def setup():
    from widelimit.notebook import Run

    return Run()
''',
    "notebook.py": """\
import base64
import os

from IPython.display import display

from widelimit.render import to_html, to_text

SVG = "<svg xmlns='http://www.w3.org/2000/svg'><desc>SEED</desc></svg>"


class Run:
    def __init__(self):
        self.seed = int(os.environ.get("WIDELIMIT_SEED", "0"))
        self.draws = os.environ.get("WIDELIMIT_DRAW", "1") != "0"
        if self.seed == 99:
            raise RuntimeError("no chapter at seed 99")

    def show(self, alt, caption):
        if not self.draws:
            return
        data = base64.b64encode(SVG.replace("SEED", str(self.seed)).encode()).decode()
        html = (
            f'<figure><img alt="{alt}" src="data:image/svg+xml;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
        about = {"number": "1.1", "caption": caption, "alt": alt, "bytes": len(data)}
        bundle = {"text/html": html, "text/plain": caption}
        display(bundle, raw=True, metadata={"widelimit": {"figure": about}})

    def claim(self, name):
        good = self.seed != 13
        row = {
            "id": name,
            "statement": "One is one.",
            "source": "here",
            "predicted": 1.0,
            "measured": 1 + self.seed / 1e9 if good else 2.0,
            "stderr": 0.01,
            "tolerance": 0.05,
            "tolerance_reason": "five errors",
            "rival": {"name": "three", "value": 3.0, "rejected": True},
            "verdict": "holds" if good else "does not hold",
            "comment": "",
            "expected_disagreement": None,
            "as_expected": good,
        }
        bundle = {"text/html": to_html(row), "text/plain": to_text(row)}
        display(bundle, raw=True, metadata={"widelimit": {"claim": row}})
""",
    "render.py": (REPO / "code/widelimit/ledger/render.py").read_text(encoding="utf-8"),
    "words.py": '''\
"""What the chapter says."""

from .deeper import secret


def greet():
    """Say it."""
    print("hello", secret.WORD)
''',
    "deeper/__init__.py": "",
    "deeper/secret.py": 'WORD = "there"  # a comment\n',
    "unused.py": "VALUE = 1\n",
}


@pytest.fixture(scope="session")
def executed(repo, tmp_path_factory) -> Path:
    """The small book after ``make execute``; not to be changed."""
    root = tmp_path_factory.mktemp("book")
    for name in ("_config.yml", "README.md", "CITATION.cff", "pyproject.toml"):
        shutil.copy(repo / name, root)
    for name, source in PACKAGE.items():
        path = root / "code" / "widelimit" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    (root / "book" / "_static").mkdir(parents=True)
    (root / "book" / "line.yml").write_text(LINE, encoding="utf-8")
    (root / "chapters").mkdir()
    (root / "chapters" / "01-small.md").write_text(CHAPTER, encoding="utf-8")
    execute.execute(Book(root))
    return root


@pytest.fixture
def book(executed, tmp_path) -> Book:
    """The small book, executed, to be changed."""
    shutil.copytree(executed, tmp_path / "book", ignore=shutil.ignore_patterns("__pycache__"))
    return Book(tmp_path / "book")


@pytest.fixture
def chapter(book):
    """Its one chapter."""
    return book.chapters()[0]

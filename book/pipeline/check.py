"""Everything that must be true of a chapter's stored pair, read without running anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from nbformat import NotebookNode

from pipeline import citations, digest, notebook, outputs, plain, setup_cell
from pipeline.book import Book, Chapter
from widelimit.ledger.render import to_html, to_text

MAX_NOTEBOOK_BYTES = 2_000_000
# Tags and comments by which nbval or the builder would pass over a cell's output.
_EXCUSES = re.compile(
    r"(nbval|pytest_validate|pytestraises|skip.execution|raises.exception|remove.output|skip_?cell)",
    re.IGNORECASE,
)
# A tag hides something in the book alone, unless notebook.from_text says the same to Colab.
_TAGS = {"setup", "hide-input", "hide-cell"}


def problems(book: Book, chapter: Chapter) -> list[str]:
    """What is wrong with a chapter, each problem naming the cell and the remedy."""
    if not chapter.notebook.is_file():
        return [f"{chapter.slug}: has no notebook; run 'make execute'"]
    stored = notebook.read(chapter.notebook)
    known = citations.read(book.root / "references.bib")
    found = [
        *_files(chapter, stored),
        *_setup(book, chapter),
        *_pair(book, chapter, stored),
        *_freshness(book, chapter, stored),
        *(p for i, cell in enumerate(stored.cells) for p in _cell(f"cell {i}", cell, known)),
        *_claims(stored),
    ]
    return [f"{chapter.slug}: {problem}" for problem in found]


def _files(chapter: Chapter, stored: NotebookNode) -> Iterator[str]:
    raw = chapter.notebook.read_text(encoding="utf-8")
    if len(raw.encode()) > MAX_NOTEBOOK_BYTES:
        size = len(raw.encode())
        yield f"the notebook has {size} bytes, over {MAX_NOTEBOOK_BYTES}; make its figures lighter"
    if raw != notebook.dumps(stored):
        yield "the notebook is not written as the pipeline writes it; run 'make sync'"
    expected = {*notebook.KERNEL, "widelimit"}
    own = {key: stored.metadata.get(key) for key in notebook.KERNEL}
    if set(stored.metadata) != expected or own != notebook.KERNEL:
        yield f"the notebook's metadata hold {sorted(stored.metadata)}; run 'make sync'"


def _setup(book: Book, chapter: Chapter) -> Iterator[str]:
    text = chapter.text.read_text(encoding="utf-8")
    try:
        updated = setup_cell.write_into(text, book.repository, chapter.text.name)
    except SystemExit as error:
        yield str(error)
        return
    if updated != text:
        yield "the set-up cell differs from the book's; run 'make sync'"
    first = next(iter(notebook.code_cells(notebook.from_text(book, chapter))))
    if "setup" not in first.metadata.get("tags", []):
        yield "the set-up cell is not the first code cell; move it up"


def _pair(book: Book, chapter: Chapter, stored: NotebookNode) -> Iterator[str]:
    fresh = notebook.from_text(book, chapter)
    if len(fresh.cells) != len(stored.cells):
        yield (
            f"the text has {len(fresh.cells)} cells and the notebook {len(stored.cells)}; "
            "edit the text, then run 'make sync'"
        )
    for i, (new, old) in enumerate(zip(fresh.cells, stored.cells, strict=False)):
        same = all(new[k] == old.get(k) for k in ("id", "cell_type", "source", "metadata"))
        if not same:
            yield f"cell {i} of the notebook is not the text's; edit the text, run 'make sync'"


def _freshness(book: Book, chapter: Chapter, stored: NotebookNode) -> Iterator[str]:
    fresh = notebook.sources(notebook.from_text(book, chapter))
    current = digest.of_chapter(book, chapter, fresh)
    recorded = (stored.metadata.get("widelimit") or {}).get("digest")
    if recorded is None:
        yield "its code changed since it was run; run 'make execute'"
    elif recorded["code"] != current["code"]:
        yield "its outputs are stale: its code or the package's changed; run 'make execute'"
    elif recorded["text"] != current["text"]:
        yield "its text changed since the notebook was written; run 'make sync'"
    counts = [cell.execution_count for cell in notebook.code_cells(stored)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"its cells were not run once each in order: {counts}; run 'make execute FORCE=1'"


def _cell(name: str, cell: NotebookNode, known: Mapping[str, citations.Reference]) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield from (f"{name} {problem}" for problem in plain.problems(cell.source))
        yield from (f"{name} {problem}" for problem in citations.problems(cell.source, known))
        return
    if cell.cell_type != "code":
        yield f"{name} is a {cell.cell_type} cell; a chapter has text and code"
        return
    tags = cell.metadata.get("tags", [])
    excuse = next(filter(_EXCUSES.search, [*tags, *re.findall(r"#.*", cell.source)]), None)
    if excuse:
        yield f"{name} is excused from the tests by {excuse!r}; take it out"
    for tag in sorted({*tags} - _TAGS):
        yield f"{name} has the tag {tag!r}, which Colab does not know; there are {sorted(_TAGS)}"
    if {"hide-input", "hide-cell"} & {*tags} and not re.match(r"# @title \S", cell.source):
        yield (
            f"{name} is folded, and Colab shows its title; begin it with '# @title Figure 1.1' or "
            "'# @title Solution of exercise 1.1'"
        )
    if cell.source.rstrip().endswith(";"):
        yield f"{name} ends in ';', which nbval does not honour; assign the value instead"
    if "setup" in tags and cell.outputs:
        yield f"{name}, the set-up cell, has an output; it must be silent"
    yield from (f"{name} {problem}" for problem in outputs.problems(cell))


def _claims(stored: NotebookNode) -> Iterator[str]:
    ids = [claim["id"] for claim in claims(stored)]
    for repeated in sorted({i for i in ids if ids.count(i) > 1}):
        yield f"claim {repeated!r} is shown {ids.count(repeated)} times; an id is used once"
    for output in _ours(stored, "claim"):
        yield from _forged(output)
    for claim in claims(stored):
        if not claim["as_expected"]:
            yield (
                f"claim {claim['id']!r}: {claim['verdict']}, {claim['comment']}; correct what is "
                "wrong, or state the disagreement in the claim and discuss it"
            )


def _forged(output: NotebookNode) -> Iterator[str]:
    """A claim's row must be what its data say: nbval compares the row, and never the data."""
    claim = output.metadata["widelimit"]["claim"]
    shown = (output.data.get("text/plain"), output.data.get("text/html"))
    if shown != (to_text(claim), to_html(claim)):
        yield f"claim {claim['id']!r} shows another row than its data; run 'make execute FORCE=1'"
    agrees = abs(claim["measured"] - claim["predicted"]) <= claim["tolerance"]
    rejected = abs(claim["measured"] - claim["rival"]["value"]) > claim["tolerance"]
    stated = (claim["verdict"] != "does not hold", claim["rival"]["rejected"])
    if stated != (agrees and rejected, rejected):
        yield (
            f"claim {claim['id']!r} states {claim['verdict']!r}, and its numbers say otherwise; "
            "run 'make execute FORCE=1'"
        )


def _ours(stored: NotebookNode, kind: str) -> list[NotebookNode]:
    return [
        output
        for cell in notebook.code_cells(stored)
        for output in cell.outputs
        if kind in output.get("metadata", {}).get("widelimit", {})
    ]


def claims(stored: NotebookNode) -> list[dict]:
    """The claims a notebook shows, in order, as the ledger wrote them into its metadata."""
    return [output.metadata["widelimit"]["claim"] for output in _ours(stored, "claim")]

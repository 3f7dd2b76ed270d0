"""The notebook of a chapter: generated from its text, written so that equal means byte-equal."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from pipeline.book import Book, Chapter

# Nothing that depends on the machine: no version of Python, no path of an interpreter.
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# What the book folds by a cell's tag, Colab (cellView) and JupyterLab (the rest) fold by metadata.
_FOLDED = {
    "hide-input": {"cellView": "form", "jupyter": {"source_hidden": True}},
    "hide-cell": {
        "cellView": "form",
        "collapsed": True,
        "jupyter": {"outputs_hidden": True, "source_hidden": True},
    },
}


# A link to another text of the book, and what only looks like one: code and mathematics.
_LINK = re.compile(r"\]\((?!\w+:)([^)\s#]+)\.md(#[^)\s]*)?( \"[^\"]*\")?\)")
_VERBATIM = re.compile(
    r"(^```.*?^```$|`[^`\n]+`|\$\$.*?\$\$|\$[^$\n]+\$)", re.DOTALL | re.MULTILINE
)


def _published(source: str, book: Book) -> str:
    """Text with its links to the book's other pages as they are on the published site.

    In Colab a notebook has no neighbours. The site turns these links back into its own.
    """

    def address(link: re.Match) -> str:
        page = posixpath.normpath(posixpath.join("chapters", link[1]))
        if not (book.root / f"{page}.md").is_file() or not page.startswith(("book/", "chapters/")):
            return link[0]  # no page: the check says so
        return f"]({book.site}{page}.html{link[2] or ''}{link[3] or ''})"

    parts = _VERBATIM.split(source)
    parts[::2] = [_LINK.sub(address, part) for part in parts[::2]]
    return "".join(parts)


def from_text(book: Book, chapter: Chapter) -> NotebookNode:
    """The chapter's cells, without outputs, each with an id made of its chapter and position.

    jupytext draws new random ids at every run; these change only when the cells do.
    """
    cells = jupytext.reads(chapter.text.read_text(encoding="utf-8"), fmt="md:myst").cells
    for position, cell in enumerate(cells):
        cell["id"] = f"{chapter.slug}-{position:03d}"
        if cell.cell_type == "markdown":
            cell.source = _published(cell.source, book)
        for tag in cell.metadata.get("tags", []):
            cell.metadata.update(nbformat.from_dict(_FOLDED.get(tag, {})))
    notebook = nbformat.v4.new_notebook(cells=cells, nbformat_minor=5)
    notebook.metadata = nbformat.from_dict({**KERNEL, "widelimit": {"digest": None}})
    return notebook


def read(path: Path) -> NotebookNode:
    """The stored notebook."""
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def dumps(notebook: NotebookNode) -> str:
    """The notebook as JSON with sorted keys, one-space indent and a final newline."""
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


def write(notebook: NotebookNode, path: Path) -> bool:
    """Store the notebook unless the file already says the same; returns whether it changed."""
    text = dumps(notebook)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def sources(notebook: NotebookNode) -> list[str]:
    """The sources of the cells that run."""
    return [cell.source for cell in code_cells(notebook)]


def keep_outputs(new: NotebookNode, old: NotebookNode) -> None:
    """Give each code cell of ``new`` the outputs of the same source in ``old``, in order."""
    stored = code_cells(old)
    for cell in code_cells(new):
        same = next((c for c in stored if c.source == cell.source), None)
        if same is None and "setup" in cell.metadata.get("tags", []):
            # Its source may differ by the repository's URL alone; the digest judges the rest.
            same = next((c for c in stored if "setup" in c.metadata.get("tags", [])), None)
        if same is not None:
            cell.outputs, cell.execution_count = same.outputs, same.execution_count
            stored = stored[stored.index(same) + 1 :]

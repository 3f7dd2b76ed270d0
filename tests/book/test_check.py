"""Each check, on a stored chapter broken in the one way that it is there to catch."""

import base64
import re

import pytest
from nbformat.v4 import new_output

from pipeline import check, execute, notebook

GREETING, FIGURE, CLAIM = 3, 5, 6  # the cells of the small chapter
SVG = "data:image/svg+xml;base64,"


def figure(cells):
    return cells[FIGURE].outputs[0]


def html(output, old, new):
    assert old in output.data["text/html"]
    output.data["text/html"] = output.data["text/html"].replace(old, new)


def printed(cells, text, name="stdout"):
    cells[GREETING].outputs.append(new_output("stream", name=name, text=text))


def drawn(cells, svg):
    encoded = base64.b64encode(svg.encode()).decode()
    figure(cells).data["text/html"] = (
        f'<figure><img alt="A line." src="{SVG}{encoded}"><figcaption>It rises.</figcaption>'
    )


def error(cells):
    output = new_output("error", ename="ValueError", evalue="no", traceback=[])
    cells[GREETING].outputs.append(output)


def raw(mime):
    def add(cells):
        figure(cells).data[mime] = "payload"

    return add


def swap_counts(cells):
    cells[GREETING].execution_count, cells[FIGURE].execution_count = 3, 2


BROKEN = {
    "swapped cells": (swap_counts, r"not run once each in order: \[1, 3, 2, 4\]"),
    "a cell not run": (lambda c: c[CLAIM].update(execution_count=None), "not run once each"),
    "another source": (lambda c: c[GREETING].update(source="1 + 1"), "cell 3 of the notebook"),
    "other prose": (lambda c: c[2].update(source="Prose."), "cell 2 of the notebook is not"),
    "a random id": (lambda c: c[2].update(id="1f2e3d4c"), "cell 2 of the notebook is not"),
    "a cell less": (lambda c: c.pop(), "the text has 7 cells and the notebook 6"),
    "machine metadata": (
        lambda c: c[GREETING].metadata.update(execution={"iopub": "2026"}),
        "cell 3 of the notebook is not the text's",
    ),
    "an error": (error, "stopped with ValueError: no"),
    "stderr": (lambda c: printed(c, "UserWarning\n", "stderr"), "wrote to stderr"),
    "a path": (lambda c: printed(c, "saved /home/me/x.npz"), "one machine, '/home/me'"),
    "a PNG": (raw("image/png"), "stores image/png"),
    "a raw SVG": (raw("image/svg+xml"), "stores image/svg"),
    "a widget": (raw("application/vnd.jupyter.widget-view+json"), "stores application/vnd"),
    "no alt in HTML": (lambda c: html(figure(c), "A straight line.", " "), "without alt text"),
    "no alt stated": (
        lambda c: figure(c).metadata.widelimit.figure.update(alt=""),
        "without alt text",
    ),
    "no caption in HTML": (lambda c: html(figure(c), "A line rises.", ""), "without a caption"),
    "no caption stated": (
        lambda c: figure(c).metadata.widelimit.figure.update(caption=" "),
        "without a caption",
    ),
    "an undeclared image": (lambda c: figure(c).update(metadata={}), "without alt text"),
    "two images": (lambda c: html(figure(c), "</figure>", "<img></figure>"), "with 2 images"),
    "an inline SVG": (lambda c: html(figure(c), "</figure>", "<svg></svg>"), "makes one <img>"),
    "a linked image": (lambda c: html(figure(c), SVG, "plot.svg?"), "whose image is 'plot.svg"),
    "broken base64": (lambda c: html(figure(c), SVG, SVG + "!"), "cannot be decoded"),
    "not an SVG": (lambda c: drawn(c, "<html>"), "is no SVG"),
    "a heavy SVG": (lambda c: drawn(c, "<svg>" + " " * 200_000), "of 200005 bytes, over 200000"),
    "a script in the SVG": (lambda c: drawn(c, "<svg><script>"), "SVG carries a script"),
    "a path in the SVG": (lambda c: drawn(c, "<svg>/tmp/fig</svg>"), "one machine, '/tmp/fig'"),
    "a script": (lambda c: html(figure(c), "</figure>", "<script>"), "carries a script"),
    "another host": (
        lambda c: html(figure(c), "</figure>", "<link href='https://host/x.css'>"),
        "loads from another host",
    ),
    "a claim twice": (
        lambda c: c[CLAIM].outputs.append(c[CLAIM].outputs[0]),
        "claim 'small/first' is shown 2 times",
    ),
    "a claim whose data were changed": (
        lambda c: c[CLAIM].outputs[0].metadata.widelimit.claim.update(statement="Forged."),
        "claim 'small/first' shows another row than its data",
    ),
    "a claim whose verdict is not that of its numbers": (
        lambda c: c[CLAIM].outputs[0].metadata.widelimit.claim.update(measured=2.0),
        "claim 'small/first' states 'holds', and its numbers say otherwise",
    ),
    "a tag on several lines": (
        lambda c: c[2].update(source=r"$$a \\ b \tag{1.1}$$"),
        "tags an equation of several lines",
    ),
    "nbval's own excuse": (
        lambda c: c[CLAIM].update(source="# PYTEST_VALIDATE_IGNORE_OUTPUT\n" + c[CLAIM].source),
        "is excused from the tests by",
    ),
    "a claim that fails": (
        lambda c: c[CLAIM].outputs[0].metadata.widelimit.claim.update(as_expected=False),
        "claim 'small/first': holds",
    ),
    "a set-up cell that speaks": (
        lambda c: c[1].outputs.append(c[CLAIM].outputs[0]),
        "the set-up cell, has an output",
    ),
    "a heavy notebook": (lambda c: printed(c, "x" * 2_000_000), "bytes, over 2000000"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_notebook_is_caught(book, chapter, case):
    spoil, message = BROKEN[case]
    stored = notebook.read(chapter.notebook)
    spoil(stored.cells)
    notebook.write(stored, chapter.notebook)
    problems = check.problems(book, chapter)
    assert any(re.search(message, p) for p in problems), problems


# Written in the text, these reach the notebook by the ordinary way.
WRITTEN = {
    "words.greet()": {
        "words.greet();": "ends in ';'",
        "words.greet()  # NBVAL_IGNORE_OUTPUT": "excused from the tests",
    },
    "+++\n\nMore": {
        "```{code-cell} python\n:tags: [nbval-skip]\nprint(1)\n```\n\nMore": "excused from",
        "```{code-cell} python\n:tags: [raises-exception]\nprint(1)\n```\n\nMore": "excused from",
        "```{raw-cell}\nraw\n```\n\nMore": "is a raw cell",
        "```{code-cell} python\n:tags: [remove-input]\n1\n```\n\nMore": "tag 'remove-input', which",
        "```{code-cell} python\n:tags: [hide-cell]\n1\n```\n\nMore": "begin it with '# @title",
        "```{code-cell} python\n:tags: [hide-input]\n\n# title\n```\n\nMore": "begin it with '# @",
    },
    "More prose.": {
        "{ref}`x`": "cell 4 has the role {ref}",
        "Neal (1994) {cite}`neal1994`.": "cell 4 cites 'neal1994', which references.bib does not",
        ":::{prf:remark} R\n\n```{code-cell} python\n1\n```\n\n:::": "leaves a block open",
        "```\nMore prose.": "holds a code cell as mere text",
    },
    "# A small chapter\n": {
        "# A\n\n```{code-cell} python\n0\n```\n": "set-up cell is not the first code cell",
    },
    ":tags: [setup, hide-input]": {":tags: [hide-input]": "01-small.md has 0 set-up cells"},
}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [(old, new, message) for old, pairs in WRITTEN.items() for new, message in pairs.items()],
)
def test_a_broken_text_is_caught(book, chapter, old, new, message):
    text = chapter.text.read_text(encoding="utf-8")
    assert old in text
    chapter.text.write_text(text.replace(old, new), encoding="utf-8")
    notebook.write(notebook.from_text(book, chapter), chapter.notebook)
    problems = check.problems(book, chapter)
    assert any(message in problem for problem in problems), problems


def test_a_folded_cell_with_a_title_passes(book, chapter):
    cell = "```{code-cell} python\n:tags: [hide-cell]\n\n# @title Solution\n1\n```\n\n"
    text = chapter.text.read_text(encoding="utf-8")
    chapter.text.write_text(text.replace("+++\n\n", cell), encoding="utf-8")
    execute.execute(book)
    assert check.problems(book, chapter) == []


def test_foreign_metadata_and_formatting_are_caught(book, chapter):
    stored = notebook.read(chapter.notebook)
    stored.metadata.language_info.version = "3.11.7"
    notebook.write(stored, chapter.notebook)
    assert any("metadata hold" in p for p in check.problems(book, chapter))
    text = chapter.notebook.read_text(encoding="utf-8")
    chapter.notebook.write_text(text.replace("\n ", "\n  "), encoding="utf-8")
    assert any("not written as" in p for p in check.problems(book, chapter))


def test_a_missing_notebook_is_caught(book, chapter):
    chapter.notebook.unlink()
    assert check.problems(book, chapter) == ["01-small: has no notebook; run 'make execute'"]

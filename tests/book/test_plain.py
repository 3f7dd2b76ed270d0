"""What a chapter's text may hold, so that Colab, which is no MyST, shows it readably."""

import re

import nbformat
import pytest
import yaml
from sphinx_proof.proof_type import PROOF_TYPES

from pipeline import check, citations, notebook, plain
from pipeline.book import Book, Chapter

BLOCK = ":::{prf:theorem} A limit (Neal 1994)\n\nLet $H\\to\\infty$.\n\n:::"
FOLD = "<details><summary>Solution</summary>\n\nIt is *so*.\n\n</details>"

READABLE = [
    BLOCK,
    f"Before.\n\n{BLOCK}\n\nAfter.\n\n{BLOCK.replace('theorem', 'algorithm')}",
    FOLD,
    f"**Exercise 1.1** (★). Show it.\n\n{FOLD}\n\n**Exercise 1.2** (★). Again.\n\n{FOLD}",
    "Let $a_{ji}$ be 1, then $|x|<1$ and\n\n$$f = \\{a\\}. \\tag{1.1}$$\n\nThat is 5\\$.",
    "$$\\begin{aligned}a &= b\\\\\n&= c\\end{aligned}$$",
    "In a list:\n\n1. one, $x$\n\n   $$x = 1$$\n\n2. `{ref}` in code, and `$`",
    "| a | b |\n|---|---|\n| $x$ | of $\\lvert y\\rvert$ |\n| | $\\mid$ |",
    "| a | b |\n|---|---|\n| `$x` | `$y` |",
    "Write `$$` first.\n\n$$a = b \\tag{1.1}$$",
    "|x| at the start of a line is no table, but $|x|$ inside one is.",
    "A [link](https://host.org/a.html#b), <https://host.org>, [mail](mailto:a@b.org).",
    "See [there][1].\n\n[1]: https://host.org",
    "```python\nx = {1: 2}  # {ref}`a` [^1] $ <!-- :::\n```\n\n    % shown as it stands\n\nAfter.",
    "````text\n```{note}\n````",
    "~~~\n:::{note}\n~~~",
    "Neal (1994) {cite}`neal1994` and `{ref}` then `x`; \\{ref}`x`; \\[^1]; {a, b}, {...}.",
    "100 % of it. A ratio, 1:2. A set of a set is $\\{\\{1\\}\\}$, of {x} it is ${{x}}$.",
    "> A quotation with `code`.\n>\n> ```\n> x\n> ```",
]


@pytest.mark.parametrize("source", READABLE)
def test_what_reads_well_raw_passes(source):
    assert list(plain.problems(source)) == []


def within(old, new):
    assert old in BLOCK
    return BLOCK.replace(old, new)


GARBLED = {
    # Equations.
    "So $x = 1 \\tag{1.1}$ holds.": "inside a line; display it between $$ and $$",
    "Write `$$` first.\n\n$$a \\\\ b \\tag{1.1}$$": "tags an equation of several lines",
    "Term\n~ its meaning": "is a definition list; write sentences or a table",
    "(a/b)=\n# There": "is a target; name the place in words",
    # Theorem blocks.
    within("1994)\n\n", "1994)\n"): "leave a line empty before and after it",
    within("\n\n:::", "\n:::"): "runs ':::' into the text in Colab; leave a line empty",
    f"Before.\n{BLOCK}": "leave a line empty before",
    f"{BLOCK}\nAfter.": "runs ':::' into the text in Colab",
    within(
        "1994)\n\n", "1994)\n:label: thm\n\n"
    ): "':label: thm', which is an option of a directive",
    within(" A limit (Neal 1994)", ""): "without a title, ':::{prf:theorem}'; write ':::{prf:theor",
    within("{prf:theorem} ", ""): "a block begins as ':::{prf:theorem} Title'",
    BLOCK.replace(":::", "::::"): "write ':::{prf:theorem} Title' and ':::', each at the start",
    f"- a list\n\n  {BLOCK}": "write ':::{prf:theorem} Title' and ':::', each at the start",
    within("theorem", "proof"): "begin the paragraph with *Proof.*",
    within("prf:theorem", "note"): "which Colab shows raw; say it in a paragraph",
    within("prf:theorem", "solution"): "fold a solution with <details>",
    within("Let", f"{BLOCK}\n\nLet"): "close that block first",
    BLOCK.removesuffix(":::"): "leaves a block open that began with ':::{prf:theorem}",
    f"{BLOCK}\n\n:::": "closes a block with ':::' that is not open in it; a block begins and ends",
    # Directives in backticks.
    "```{note}\nText.\n```": "has the directive '```{note}', which Colab shows raw; say it in",
    "```{prf:theorem} A\nText.\n```": "write ':::{prf:theorem} Title' and ':::'",
    "```{math}\nx\n```": "write the equation between $$ and $$",
    "```{figure} a.png\n:alt: A.\n```": "draw it with run.show",
    "~~~{image} a.png\n~~~": "draw it with run.show",
    "````{exercise}\nDo.\n````": "fold a solution with <details>",
    "```{dropdown} Solution\nSo.\n```": "fold a solution with <details>",
    "```{note}\nText.\n\n```{code-cell} python\n1\n```": "holds a code cell as mere text; close",
    "Text.\n\n```\nx": "leaves a block open that began with '```'; a block begins and ends in one",
    "Text.\n\n```": "leaves a block open",
    # Roles.
    "See {ref}`there`.": "has the role {ref}, which Colab shows raw; name the place in words",
    "See {numref}`Figure %s <f>`.": "name the place in words, or link its page",
    "See {doc}`../a`.": "name the place in words",
    "See {prf:ref}`thm`.": "has the role {prf:ref}, which Colab shows raw; name the place in words",
    "By {eq}`a`.": "name the equation by its number, as in (1.2)",
    "Let {math}`x`.": "has the role {math}, which Colab shows raw; write it between dollars",
    "By {cite:t}`neal1994`.": "write author and year in the sentence, then {cite}`key`",
    "A {term}`prior`.": "write the words themselves",
    "## A {abbr}`GP (Gaussian process)`": "write the words themselves",
    "| a |\n|---|\n| {term}`b` |": "write the words themselves",
    # Mathematics.
    "$$x = 1$$ (eq-one)": "labels the equation 'x = 1' with (eq-one); number it with \\tag{1.1}",
    "So $$x = 1$$ holds.": "inside a line; begin and end a line with $$",
    "Let $ x$ be 1.": "has a space beside a dollar in the equation 'x'; take it out",
    "$$x\n\n= 1$$": "by an empty line; take it out",
    "$$x \\label{a}$$": "uses \\label in the equation",
    "By $\\eqref{a}$.": "uses \\eqref in the equation '\\\\eqref{a}'; write out what it stands for",
    "$\\newcommand{\\E}{\\mathrm E}$": "uses \\newcommand",
    "$\\require{cancel}\\def\\a{b}$": "uses \\def",
    "\\begin{align}\nx\n\\end{align}": "is mathematics outside dollars; write it between $$ and $$",
    "It costs 5$ today.": "has a dollar without a partner; write \\$ for the sign",
    "| a | b |\n|---|---|\n| $x$ | $|y|$ |": "has $|y|$ in a table, whose cells '|' separates; wr",
    "| $a$ | $b \\| c$ |\n|---|---|\n| 1 | 2 |": "write \\lvert, \\rvert or \\mid",
    # Links and images.
    "[notation](../book/notation.md)": "links to '../book/notation.md', which Colab cannot follow",
    "[a](02-b.ipynb)": "link to https://",
    "[a](http://host.org)": "links to 'http://host.org', which Colab cannot follow",
    "[above](#the-result)": "links to '#the-result', which Colab cannot follow; link to https://",
    "[](https://host.org)": "without words; write them between the brackets",
    "See [there][1].": "'][1]', which is a link whose address is not in this cell; write [words](",
    "![A dot.](https://host.org/a.png)": "has an image, 'https://host.org/a.png'; draw it with run",
    '<img src="a.png" alt="A dot.">': "has <img>; draw it with run.show",
    # What else only MyST understands.
    "Text.\n\n% to do": "'% to do', which is a comment, which the book hides and Colab shows; take",
    "> +++": "is MyST's break between cells; take it out",
    "(here)=\n## Title": "'(here)=', which is a target; name the place in words",
    "Text[^1].\n\n[^1]: A note.": "'[^1]', which is a footnote; put it into the text",
    "Word\n: What it means.": "is a definition list; write sentences or a table",
    "It is {{version}}.": "is a substitution; write the words",
    "# Title {#top}": "sets an attribute; take it out",
    "[a]{.small}": "sets an attribute; take it out",
    "- [ ] to do": "is a task list; write a plain list",
    # HTML.
    "Text.\n\n<!-- to do -->": "hides text in an HTML comment, '<!-- to do -->'; take it out",
    "Text <!-- to do --> goes on.": "hides text in an HTML comment",
    "H<sub>2</sub>O": "has <sub>; write it in Markdown",
    '<div class="note">\n\nText.\n\n</div>': "has <div>; write it in Markdown",
    "So <details><summary>S</summary> it is.</details>": "has <details>; write it in Markdown",
    # Folded text.
    FOLD.replace(
        "</summary>\n\n", "</summary>\n"
    ): "needs an empty line before and after '<details",
    FOLD.replace("\n\n</", "\n</"): "needs an empty line before and after '</details>'",
    f"Before.\n{FOLD}": "needs an empty line before and after '<details>",
    FOLD.replace("<summary>Solution</summary>", ""): "write '<details><summary>Solution</summary>'",
    FOLD.replace("<details>", "<details open>"): "write '<details><summary>Solution</summary>'",
    FOLD.removesuffix("</details>"): "close it with </details> in the same cell",
    "Text.\n\n</details>": "has '</details>' out of turn; each <details> is closed in its cell",
    FOLD.replace("It is *so*.", FOLD): "out of turn",
}


@pytest.mark.parametrize("source", GARBLED)
def test_what_colab_hides_or_garbles_is_named_with_its_remedy(source):
    problems = list(plain.problems(source))
    assert any(GARBLED[source] in problem for problem in problems), problems


def test_the_blocks_are_those_of_the_book_s_extension():
    assert set(PROOF_TYPES) == plain.BLOCKS


def test_the_book_defines_no_macro_that_colab_would_lack(repo):
    config = yaml.safe_load((repo / "_config.yml").read_text(encoding="utf-8"))
    assert not re.search("macros", str(config["sphinx"]["config"]))


@pytest.fixture
def known(tmp_path):
    """Four entries: one plain, one with accents, one with a pronoun's name, one edited volume."""
    path = tmp_path / "references.bib"
    path.write_text(
        """
@book{neal1996, author = {Neal, Radford M.}, title = {A}, year = 1996}
@article{perez2019, author = {Valle-P{\\'e}rez, G. and Louis, A.}, title = {B}, year = {2019}}
@article{he2015, author = {He, Kaiming}, title = {C}, year = {2015}}
@book{gale1990, editor = {Gale, A. and Poe, B.}, title = {D}, year = {1990}}
""",
        encoding="utf-8",
    )
    return citations.read(path)


@pytest.mark.parametrize(
    "source",
    [
        "Neal (1996) {cite}`neal1996` says so.",
        "It is *Neal's* book of **1996** {cite}`neal1996`.",
        "Valle-Pérez & Louis (2019) {cite}`perez2019`; Valle-Perez et al., 2019 {cite}`perez2019`.",
        "He and colleagues (2015) and Neal (1996) {cite}`he2015, neal1996`.",
        "Gale and Poe (1990) {cite}`gale1990`.",
        "In code, `{cite}` and `neal1996`.",
    ],
)
def test_a_citation_with_author_and_year_passes(known, source):
    assert list(citations.problems(source, known)) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("It is known {cite}`neal1996`.", "write 'Neal (1996) {cite}`neal1996`'"),
        ("Neal {cite}`neal1996` says so.", "cites 'neal1996' without its author and year"),
        ("In 1996 he said it {cite}`neal1996`.", "without its author and year"),
        ("In 2015 he said it {cite}`he2015`.", "write 'He (2015) {cite}`he2015`'"),
        ("{cite}`neal1996` Neal (1996)", "without its author and year"),
        (f"Neal (1996) {'and on ' * 20}{{cite}}`neal1996`", "without its author and year"),
        ("Neal (1996)\n\nsaid it {cite}`neal1996`.", "without its author and year"),
        ("Neal (1996) {cite}`neal1996`, again {cite}`neal1996`.", "without its author and year"),
        ("Neal (1996) {cite}`neal1996,he2015`.", "cites 'he2015' without its author and year"),
        ("Nealon (1996) {cite}`neal1996`.", "without its author and year"),
        ("Neal (1994) {cite}`neal1994`.", "cites 'neal1994', which references.bib does not have"),
    ],
)
def test_a_citation_that_says_nothing_without_the_book_is_named(known, source, message):
    problems = list(citations.problems(source, known))
    assert len(problems) == 1
    assert message in problems[0]


def test_an_entry_without_a_year_is_named(tmp_path):
    (tmp_path / "a.bib").write_text("@book{a, author = {B, C}, title = {D}}", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"a\.bib: a needs an author, or an editor, and a year"):
        citations.read(tmp_path / "a.bib")


@pytest.fixture(scope="module")
def first(repo):
    """Chapter 1 as its text makes it."""
    return notebook.from_text(Book(repo), Chapter(repo / "chapters" / "01-neal.md"))


def words(cells):
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def test_chapter_1_is_readable_in_colab(repo, first):
    known = citations.read(repo / "references.bib")
    found = [p for s in words(first.cells) for p in plain.problems(s)]
    found += [p for s in words(first.cells) for p in citations.problems(s, known)]
    assert found == []
    text = "\n".join(words(first.cells))
    # It has what the rules are about, so that the rules were tried.
    assert text.count(":::{prf:") == 3
    assert text.count("<details>") == 7
    assert sum(len(list(plain.citations(s))) for s in words(first.cells)) > 10


@pytest.mark.parametrize(
    ("now", "before", "message"),
    [
        ("(Neal 1994)\n\nLet", "(Neal 1994)\n:label: thm-neal\n\nLet", "an option of a directive"),
        ("distribution changes.\n\n:::", "distribution changes.\n:::", "runs ':::' into the text"),
        ("(Price 1958 {cite}", "(Price {cite}", "cites 'price1958' without its author and year"),
        (
            "Matthews and colleagues (2018)",
            "Matthews and colleagues",
            "cites 'matthews2018' without",
        ),
    ],
)
def test_what_chapter_1_once_had_is_refused(repo, first, now, before, message):
    known = citations.read(repo / "references.bib")
    (source,) = (s for s in words(first.cells) if now in s)
    spoilt = source.replace(now, before)
    found = [*plain.problems(spoilt), *citations.problems(spoilt, known)]
    assert any(message in problem for problem in found), found


def test_what_the_book_folds_colab_and_jupyterlab_fold(first):
    nbformat.validate(first)
    by_tags = {}
    for cell in notebook.code_cells(first):
        rest = {key: value for key, value in cell.metadata.items() if key != "tags"}
        by_tags.setdefault(" ".join(cell.metadata.get("tags", [])), []).append(rest)
    code = {"cellView": "form", "jupyter": {"source_hidden": True}}
    both = {**code, "collapsed": True, "jupyter": {"outputs_hidden": True, "source_hidden": True}}
    assert set(by_tags) == {"", "setup hide-input", "hide-input", "hide-cell"}
    assert all(rest == {} for rest in by_tags[""])
    assert all(rest == code for rest in by_tags["setup hide-input"] + by_tags["hide-input"])
    assert all(rest == both for rest in by_tags["hide-cell"])


def test_each_folded_figure_is_titled_by_its_number(first):
    titled = 0
    for cell in notebook.code_cells(first):
        number = re.search(r'^    number="([\d.]+)",$', cell.source, re.MULTILINE)
        if number:
            assert cell.source.startswith(f"# @title Figure {number[1]}\n")
            titled += 1
    assert titled > 5


def test_the_folding_is_stored_and_compared(book, chapter):
    stored = notebook.read(chapter.notebook)
    assert stored.cells[1].metadata.cellView == "form"
    del stored.cells[1].metadata["cellView"]
    notebook.write(stored, chapter.notebook)
    assert any(
        "cell 1 of the notebook is not the text's" in p for p in check.problems(book, chapter)
    )

"""A text cell as plain Jupyter Markdown: what Colab cannot render must stay readable there.

Colab renders CommonMark with tables, mathematics between dollars and a little HTML. The book is
built with MyST, which knows more. Of that a chapter uses two things, chosen because they read well
raw: theorem blocks between colons, and ``{cite}`` beside the author and the year. Each problem
names what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

# Without text_join an escaped character keeps a token of its own, so that it is not read as syntax.
_MARKDOWN = MarkdownIt("commonmark").enable("table").disable("text_join")
_MARKDOWN.use(dollarmath_plugin, double_inline=True, allow_digits=False)

# The blocks of sphinx-proof, whose name says what they are; a proof is prose.
BLOCKS = {
    *("algorithm", "assumption", "axiom", "conjecture", "corollary", "criterion", "definition"),
    *("example", "lemma", "notation", "observation", "property", "proposition", "remark"),
    "theorem",
}
_CITATION = re.compile(r"\{cite\}`([^`]*)`")

_ONE_CELL = "a block begins and ends in one text cell; show code after it"
_FOLD = "fold a solution with <details><summary>Solution</summary>"
_FIGURE = "draw it with run.show, which embeds it with its caption and alt text"
_DIRECTIVES = {
    "code-cell": "close the ``` block before it",
    "math": "write the equation between $$ and $$",
    "prf:proof": "begin the paragraph with *Proof.* and end it with $\\square$",
    **dict.fromkeys(["figure", "image"], _FIGURE),
    **dict.fromkeys(["exercise", "solution", "dropdown"], _FOLD),
}
_ROLES = {
    "math": "write it between dollars",
    "eq": "name the equation by its number, as in (1.2)",
    "cite": "write author and year in the sentence, then {cite}`key`",
    **dict.fromkeys(["ref", "numref", "doc", "prf"], "name the place in words, or link its page"),
}
_MACROS = re.compile(
    r"\\(?:label|ref|eqref|require|(?:re)?newcommand|def|let|DeclareMathOperator)(?![A-Za-z])"
)

# What is left in the prose, mathematics and code aside, that only MyST understands.
_SYNTAX = {
    r"^%.*": "is a comment, which the book hides and Colab shows; take it out",
    r"^\+\+\+.*": "is MyST's break between cells; take it out",
    r"^\([\w|@<>*./+:-]+\)=": "is a target; name the place in words where it is meant",
    r"^:[\w-]+:.*": "is an option of a directive; blocks have none",
    r"^[:~]\s.*": "is a definition list; write sentences or a table",
    r"^\[[ xX]\] .*": "is a task list; write a plain list",
    r"\[\^[^\]]+\]": "is a footnote; put it into the text, in parentheses",
    r"\{\{.*?\}\}": "is a substitution; write the words",
    r"\{[.#][A-Za-z][^}]*\}": "sets an attribute; take it out",
    r"\]\[[^\]]*\]": "is a link whose address is not in this cell; write [words](address)",
    r"\\begin\{[^}]*\}": "is mathematics outside dollars; write it between $$ and $$",
    r".{,20}\$.{,20}": "has a dollar without a partner; write \\$ for the sign",
}


def problems(source: str) -> Iterator[str]:
    """What of a text cell Colab would hide or garble, each problem with its remedy."""
    tokens = _MARKDOWN.parse(source)
    lines = source.splitlines()
    for code in (token for token in tokens if token.type in ("fence", "code_block")):
        yield from _code(code, lines)
        # Code is shown as it stands: no other rule reads it.
        lines[slice(*code.map)] = [""] * (code.map[1] - code.map[0])
    yield from _blocks(lines)
    yield from _folds(lines)
    yield from _tables(lines)
    for token in tokens:
        for part in (token, *(token.children or [])):
            yield from _html(part)
            yield from _math(part)
        if token.type == "inline":
            yield from _links(token.children)
            yield from _syntax(_prose(token))


def citations(source: str) -> Iterator[tuple[str, list[str]]]:
    """Each citation of a text cell: the prose before it, back to the last one, and its keys."""
    for token in _MARKDOWN.parse(source):
        prose, last = _prose(token), 0
        for found in _CITATION.finditer(prose):
            yield prose[last : found.start()], [key.strip() for key in found[1].split(",")]
            last = found.end()


def _code(fence: Token, lines: list[str]) -> Iterator[str]:
    """Directives in backticks show their options and their Markdown as code."""
    directive = re.match(r"\{([^}]*)\}", fence.info.strip())
    if "code-cell" in fence.info or re.search(r"^`{3,}\{code-cell\}", fence.content, re.MULTILINE):
        yield f"holds a code cell as mere text; {_DIRECTIVES['code-cell']}"
    elif directive:
        yield _misused(fence.markup + directive[0], directive[1])
    first, end = fence.map
    closed = end - first > 1 and re.fullmatch(rf"[ >]*{fence.markup}[`~]*\s*", lines[end - 1])
    if fence.type == "fence" and not closed:
        yield f"leaves a block open that began with {fence.markup!r}; {_ONE_CELL}"


def _misused(shown: str, directive: str) -> str:
    kind = directive.removeprefix("prf:")
    if directive != kind and kind in BLOCKS:
        remedy = f"write ':::{{{directive}}} Title' and ':::', each at the start of its line"
    else:
        remedy = _DIRECTIVES.get(directive, "say it in a paragraph")
    return f"has the directive {shown!r}, which Colab shows raw; {remedy}"


def _blocks(lines: list[str]) -> Iterator[str]:
    """Theorem blocks: raw, the line that opens one is a paragraph that says what follows."""
    opened = ""
    for i, line in enumerate(lines):
        fence = re.match(r"(\s*:{3,})\s*(?:\{([^}]*)\})?\s*(.*)$", line)
        if not fence:
            continue
        colons, directive, title = fence.groups(default="")
        if colons != ":::" or directive.removeprefix("prf:") not in {*BLOCKS, ""}:
            yield _misused(line, directive)
        elif not directive and title:
            yield f"has the line {line!r}; a block begins as ':::{{prf:theorem}} Title'"
        elif directive and not title:
            yield f"has a block without a title, {line!r}; write ':::{{{directive}}} Title'"
        if "".join(lines[max(i - 1, 0) : i] + lines[i + 1 : i + 2]).strip():
            yield f"runs {line!r} into the text in Colab; leave a line empty before and after it"
        if directive and opened:
            yield f"has {line!r} inside {opened!r}; close that block first"
        elif not directive and not opened:
            yield f"closes a block with {line!r} that is not open in it; {_ONE_CELL}"
        opened = line if directive else ""
    if opened:
        yield f"leaves a block open that began with {opened!r}; {_ONE_CELL}"


def _folds(lines: list[str]) -> Iterator[str]:
    """Folded text: Markdown inside HTML is read only after an empty line."""
    opened = False
    for i, line in enumerate(lines):
        found = re.match(r"\s*<(/?)details", line, re.IGNORECASE)
        if not found:
            continue
        opens = not found[1]
        if not re.fullmatch(r"<details><summary>[^<]+</summary>|</details>", line):
            yield f"has {line!r}; write '<details><summary>Solution</summary>' and '</details>'"
        if "".join(lines[max(i - 1, 0) : i] + lines[i + 1 : i + 2]).strip():
            yield f"needs an empty line before and after {line!r}: Markdown is not read without"
        if opens == opened:
            yield f"has {line!r} out of turn; each <details> is closed in its cell before the next"
        opened = opens
    if opened:
        yield "leaves <details> open; close it with </details> in the same cell, code comes after"


def _tables(lines: list[str]) -> Iterator[str]:
    for row in (line for line in lines if re.fullmatch(r"\s*\|.*\|\s*", line)):
        for formula in re.findall(r"(?<!\\)\$([^$]+)\$", re.sub(r"`[^`]*`", "", row)):
            if "|" in formula:
                yield (
                    f"has ${formula}$ in a table, whose cells '|' separates; "
                    r"write \lvert, \rvert or \mid"
                )


def _html(token: Token) -> Iterator[str]:
    if token.type not in ("html_block", "html_inline"):
        return
    if "<!--" in token.content:
        yield f"hides text in an HTML comment, {token.content[:40]!r}; take it out"
    allowed = {"details", "summary"} if token.type == "html_block" else set()
    used = set(re.findall(r"</?([a-z][\w-]*)", token.content.lower()))
    for tag in sorted(used - allowed):
        yield f"has <{tag}>; {_FIGURE if tag == 'img' else 'write it in Markdown'}"


def _math(token: Token) -> Iterator[str]:
    if not token.type.startswith("math_"):
        return
    shown = f"the equation {token.content.strip()[:40]!r}"
    if token.type == "math_block_label":
        yield f"labels {shown} with ({token.info}); number it with \\tag{{1.1}} before the $$"
    if token.type == "math_inline_double":
        yield f"displays {shown} inside a line; begin and end a line with $$"
    if token.type == "math_inline" and token.content != token.content.strip():
        yield f"has a space beside a dollar in {shown}; take it out"
    if "\\tag" in token.content and token.type == "math_inline":
        yield f"numbers {shown} inside a line; display it between $$ and $$"
    elif "\\tag" in token.content and "\\\\" in token.content:
        # Sphinx splits an equation of several lines, and MathJax refuses a tag in a split.
        yield f"tags an equation of several lines, {token.content[:40]!r}; number one line of it"
    if re.search(r"\n\s*\n", token.content):
        yield f"breaks {shown} by an empty line; take it out"
    for macro in _MACROS.findall(token.content):
        yield f"uses {macro} in {shown}; write out what it stands for"


def _links(tokens: list[Token]) -> Iterator[str]:
    for i, token in enumerate(tokens):
        if token.type == "image":
            yield f"has an image, {token.attrs['src']!r}; {_FIGURE}"
        if token.type != "link_open":
            continue
        address = str(token.attrs["href"])
        if not address.startswith(("https://", "mailto:")):
            yield (
                f"links to {address!r}, which Colab cannot follow; link to https://..., or in the "
                "text to a file of the book, or say in words where to look"
            )
        if tokens[i + 1].type == "link_close":
            yield f"links to {address!r} without words; write them between the brackets"


def _syntax(prose: str) -> Iterator[str]:
    for role in re.findall(r"\{([A-Za-z][\w:+-]*)\}`", prose):
        if role != "cite":
            remedy = _ROLES.get(role.partition(":")[0], "write the words themselves")
            yield f"has the role {{{role}}}, which Colab shows raw; {remedy}"
    for pattern, problem in _SYNTAX.items():
        for found in re.finditer(pattern, prose, re.MULTILINE):
            yield f"has {found[0].strip()[:40]!r}, which {problem}"


def _prose(inline: Token) -> str:
    """An inline token's words, with mathematics and code left out: neither is prose.

    What follows a role stays, so that ``{cite}`key``` can be read.
    """
    prose = ""
    for token in inline.children or []:
        match token.type:
            case "text":
                prose += token.content
            case "text_special":
                # An escaped character; a backslash before a letter is a backslash.
                prose += token.content if token.content.startswith("\\") else "·"
            case "code_inline":
                prose += f"`{token.content}`" if prose.endswith("}") else "``"
            case "softbreak" | "hardbreak":
                prose += "\n"
            case "math_inline" | "math_inline_double":
                prose += "∎"
    return prose

"""How to cite the book and where to report an error: what follows from CITATION.cff and its URL."""

from __future__ import annotations

import yaml

from pipeline.book import Book


def markdown(book: Book) -> str:
    """The citation as a sentence and as BibTeX."""
    cff = yaml.safe_load((book.root / "CITATION.cff").read_text(encoding="utf-8"))
    author = cff["authors"][0]["name"]
    year = str(cff["date-released"])[:4]
    fields = {
        "author": f"{{{author}}}",
        "title": f"{{{cff['title']}}}",
        "year": year,
        "version": cff["version"],
        "url": book.site,
    }
    width = max(map(len, fields))
    lines = [f"  {name:{width}} = {{{value}}}," for name, value in fields.items()]
    bibtex = "\n".join(["@misc{widelimit,", *lines, "}"])
    return (
        f"{author}, *{cff['title']}*, version {cff['version']}, {year}, <{book.site}>.\n\n"
        f"```bibtex\n{bibtex}\n```"
    )


def report(book: Book) -> str:
    """Where to say that something is wrong."""
    return (
        f"Open an issue at [{book.repository.removeprefix('https://')}/issues]"
        f"({book.repository}/issues/new/choose), or press *open issue* behind the GitHub button "
        "at the top of the page that is wrong. To propose another sentence, press *suggest edit* "
        "there; we run what makes the page anew."
    )

"""Citations: a notebook alone has no bibliography, so author and year stand in the prose."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pybtex.database import parse_file

from pipeline import plain

_BESIDE = 120  # characters: further away the name is not read together with the citation


class Reference(NamedTuple):
    """What a reader without the bibliography needs: the authors' family names and the year."""

    families: tuple[str, ...]
    year: str

    @property
    def said(self) -> str:
        """As in prose: ``Neal (1996)``, ``Cho & Saul (2009)``, ``Poole et al. (2016)``."""
        first, *others = self.families
        names = first if not others else f"{first} & {others[0]}"
        return f"{names if len(others) < 2 else f'{first} et al.'} ({self.year})"


def read(path: Path) -> dict[str, Reference]:
    """The entries of a BibTeX file by key; none if there is no file."""
    if not path.is_file():
        return {}
    found = {}
    for key, entry in parse_file(path).entries.items():
        people = entry.persons.get("author") or entry.persons.get("editor")
        if not people or "year" not in entry.fields:
            raise SystemExit(f"{path.name}: {key} needs an author, or an editor, and a year")
        families = tuple(" ".join(map(str, person.rich_last_names)) for person in people)
        found[key] = Reference(families, entry.fields["year"])
    return found


def problems(source: str, references: Mapping[str, Reference]) -> Iterator[str]:
    """Citations of a text cell that name no entry, or stand without author and year."""
    for before, keys in plain.citations(source):
        beside = _plain(before[-_BESIDE:])
        for key in keys:
            if key not in references:
                yield f"cites {key!r}, which references.bib does not have; add it there"
                continue
            (family, *_), year = references[key]
            if not all(re.search(rf"\b{re.escape(_plain(w))}\b", beside) for w in (family, year)):
                yield (
                    f"cites {key!r} without its author and year, which Colab does not look up; "
                    f"write '{references[key].said} {{cite}}`{key}`'"
                )


def _plain(text: str) -> str:
    """Letters without accents: a name may be written either way. Case stays: He is not he."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))

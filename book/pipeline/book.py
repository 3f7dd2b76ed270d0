"""Where things are: the book's root, its chapters, and the one place that names its repository."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

PLACEHOLDER_OWNER = "OWNER"
_REPOSITORY = re.compile(r"https://github\.com/[\w-]+/[\w.-]+")


@dataclass(frozen=True)
class Chapter:
    """One chapter: the text people edit and the notebook generated from it."""

    text: Path

    @property
    def slug(self) -> str:
        """``NN-slug``, the name both files share."""
        return self.text.stem

    @property
    def notebook(self) -> Path:
        """The generated notebook, beside the text."""
        return self.text.with_suffix(".ipynb")


@dataclass(frozen=True)
class Book:
    """The repository at ``root``."""

    root: Path

    @property
    def package(self) -> Path:
        """The source of ``widelimit``."""
        return self.root / "code" / "widelimit"

    @property
    def repository(self) -> str:
        """The repository's URL, from ``_config.yml``: it is written nowhere else by hand."""
        config = yaml.safe_load((self.root / "_config.yml").read_text(encoding="utf-8"))
        url = (config.get("repository") or {}).get("url") or ""
        if not _REPOSITORY.fullmatch(url) or url.endswith(".git"):
            raise SystemExit(
                f"_config.yml: repository.url is {url!r}; write it as https://github.com/NAME/NAME"
            )
        return url

    @property
    def branch(self) -> str:
        """The branch that links lead to."""
        config = yaml.safe_load((self.root / "_config.yml").read_text(encoding="utf-8"))
        return config["repository"].get("branch", "main")

    @property
    def site(self) -> str:
        """The address of the published book, with a final slash: as GitHub Pages forms it, unless
        ``html.baseurl`` in ``_config.yml`` gives a domain of its own."""
        config = yaml.safe_load((self.root / "_config.yml").read_text(encoding="utf-8"))
        if own := (config.get("html") or {}).get("baseurl"):
            return own.rstrip("/") + "/"
        owner, name = self.repository.removeprefix("https://github.com/").split("/")
        host = f"{owner.lower()}.github.io"
        return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"

    @property
    def has_placeholder_repository(self) -> bool:
        """Whether nobody has yet said where the book is published."""
        return f"/{PLACEHOLDER_OWNER}/" in self.repository

    def chapters(self, number: str = "") -> list[Chapter]:
        """The chapters whose name starts with ``number``, in order; all of them by default."""
        found = [Chapter(p) for p in sorted((self.root / "chapters").glob("[0-9][0-9]-*.md"))]
        chosen = [chapter for chapter in found if chapter.slug.startswith(number)]
        if number and not chosen:
            known = ", ".join(chapter.slug for chapter in found) or "none"
            raise SystemExit(f"no chapter starts with {number!r}; there are: {known}")
        return chosen

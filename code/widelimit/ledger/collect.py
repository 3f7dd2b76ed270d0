"""The whole ledger, read from the executed notebooks, so that it shows what ran."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from widelimit.ledger.claim import CAVEAT, FAILS, HOLDS
from widelimit.ledger.render import format_measured, format_number

#: What a row of the ledger has.
KEYS = (
    "id",
    "chapter",
    "statement",
    "source",
    "predicted",
    "measured",
    "stderr",
    "tolerance",
    "tolerance_reason",
    "rival",
    "verdict",
)


def find_chapters(start: Path | None = None) -> Path:
    """Find the book's chapters from inside the book.

    Args:
      start: where to begin; the current directory by default.

    Returns:
      ``chapters/`` of the nearest folder, ``start`` or above it, that has it beside a
      ``_config.yml``.

    Raises:
      FileNotFoundError: there is none.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "_config.yml").is_file() and (folder / "chapters").is_dir():
            return folder / "chapters"
    raise FileNotFoundError(
        f"neither {start} nor a folder above it has chapters/ beside a _config.yml; run this "
        "inside the book, or name the folder of executed notebooks with --chapters"
    )


def collect(chapters_dir: str | Path) -> list[dict]:
    """Read every claim from the executed notebooks of a folder.

    Args:
      chapters_dir: the folder; its ``*.ipynb`` are read by name, subfolders are not.

    Returns:
      The claims in the order of the book, each as `Claim.to_dict` gives it plus ``chapter``, the
      notebook's name without ending. Empty if the notebooks hold no claim.

    Raises:
      FileNotFoundError: there is no such folder, or no notebook in it.
      ValueError: a file is not a notebook, a claim lacks one of `KEYS`, or two claims share an id;
        the message names the notebooks.
    """
    notebooks = sorted(Path(chapters_dir).glob("*.ipynb"))
    if not notebooks:
        raise FileNotFoundError(f"{chapters_dir} holds no notebook (*.ipynb)")
    claims: dict[str, dict] = {}
    for notebook in notebooks:
        for row in _rows(notebook):
            claim = {**row, "chapter": notebook.stem}
            missing = [key for key in KEYS if key not in claim]
            if missing:
                raise ValueError(
                    f"{notebook}: claim {row.get('id', '(no id)')} lacks {', '.join(missing)}; "
                    "execute the notebook again"
                )
            if claim["id"] in claims:
                raise ValueError(
                    f"two claims are called {claim['id']}: one in "
                    f"{claims[claim['id']]['chapter']}.ipynb, one in {notebook.name}"
                )
            claims[claim["id"]] = claim
    return list(claims.values())


def _rows(notebook: Path) -> list[dict]:
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", ())]
        marked = [output.get("metadata", {}).get("widelimit", {}) for output in outputs]
        return [mark["claim"] for mark in marked if "claim" in mark]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{notebook} is not a notebook: {error!r}") from None


def _rival(rival: dict) -> str:
    rejected = "rejected" if rival["rejected"] else "not rejected"
    return f"{rival['name']}: {format_number(rival['value'])}, {rejected}"


def as_json(claims: Sequence[dict]) -> str:
    """The claims as a JSON list of objects with exactly `KEYS`, numbers in full.

    Args:
      claims: as `collect` gives them.

    Returns:
      The document, without a final newline.
    """
    rows = [{key: claim[key] for key in KEYS} for claim in claims]
    return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False)


def as_csv(claims: Sequence[dict]) -> str:
    """The claims as CSV: a header of `KEYS`, numbers in full, the rival as readable text.

    Args:
      claims: as `collect` gives them.

    Returns:
      The document, without a final newline.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, KEYS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({**claim, "rival": _rival(claim["rival"])} for claim in claims)
    return text.getvalue().rstrip("\n")


def as_table(claims: Sequence[dict], width: int) -> str:
    """The claims as a table to read in a terminal, chapter by chapter.

    Args:
      claims: as `collect` gives them.
      width: characters a line may have, ≥ 40; what does not fit ends in ``…``.

    Returns:
      A row of numbers a claim; under it the verdict with the statement, the rival, and a caveat or
      the reason for a disagreement where there is one. Last, the count of each verdict.
    """
    header = ("claim", "predicted", "measured", "tolerance")
    rows = [
        (
            claim["id"],
            format_number(claim["predicted"]),
            format_measured(claim["measured"], claim["stderr"]),
            f"± {claim['tolerance']:.2g}",
        )
        for claim in claims
    ]
    head, *numbers = columns([header, *rows], width)
    lines, chapter = [head], None
    for claim, row in zip(claims, numbers, strict=True):
        if claim["chapter"] != chapter:
            chapter = claim["chapter"]
            lines += ["", chapter]
        lines += [
            row,
            f"  {claim['verdict']}: {claim['statement']}",
            f"  rival: {_rival(claim['rival'])}",
        ]
        if claim.get("comment"):
            lines.append(f"  {claim['comment']}")
    lines = [*lines, "", _summary(claims)] if claims else [_summary(claims)]
    return "\n".join(shorten(line, width) for line in lines)


def _summary(claims: Sequence[dict]) -> str:
    counts = Counter(claim["verdict"] for claim in claims)
    parts = [f"{counts[verdict]} {verdict}" for verdict in (HOLDS, CAVEAT, FAILS)]
    return f"{len(claims)} claim{'' if len(claims) == 1 else 's'}: " + "; ".join(parts)


def shorten(text: str, width: int) -> str:
    """``text`` on one line of at most ``width`` characters; what is cut off becomes ``…``.

    Args:
      text: any text; line breaks become spaces.
      width: how many characters it may have.

    Returns:
      The text, cut where it is too long.
    """
    text = text.replace("\n", " ")
    return text if len(text) <= width else text[: max(width - 1, 0)].rstrip() + "…"


def columns(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Align rows of text in columns two spaces apart.

    Args:
      rows: equally many texts each, at least two.
      width: characters a line may have.

    Returns:
      One line a row. Where they are too long the widest columns are cut first, the first column,
      which names the row, last of all.
    """
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(sizes) + 2 * (len(sizes) - 1) > width and max(sizes[1:]) > 1:
        sizes[sizes.index(max(sizes[1:]), 1)] -= 1
    cells = [
        [shorten(text, n).ljust(n) for text, n in zip(row, sizes, strict=True)] for row in rows
    ]
    return [shorten("  ".join(row).rstrip(), width) for row in cells]

"""One readable row for a claim, in HTML and in plain text.

Measured digits are marked in both (a ``wl-measured`` span, ‹guillemets›), so that a test can
compare everything else to the letter. Styles are inline: Colab and GitHub load no style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape

_MARK = {"holds": "✓", "holds with a caveat": "✓", "does not hold": "✗"}
_COLOR = {"holds": "#0a7d5a", "holds with a caveat": "#b06f00", "does not hold": "#c0392b"}


def format_number(value: float, digits: int = 6) -> str:
    """A number with so many significant digits, a true minus sign and ×10 for large powers.

    Args:
      value: a finite number.
      digits: how many significant digits, ≥ 1.

    Returns:
      The text.
    """
    mantissa, _, power = f"{value + 0.0:.{digits}g}".partition("e")
    return (mantissa + (f" × 10^{int(power)}" if power else "")).replace("-", "−")


def format_measured(value: float, stderr: float) -> str:
    """``value ± error``, the error with two significant digits and the value to match.

    Args:
      value: a finite number.
      stderr: its standard error, ≥ 0.

    Returns:
      The text.
    """
    scale = max(abs(value), stderr)
    if not 1e-4 <= scale < 1e6 and scale > 1e-300:
        power = math.floor(math.log10(scale))
        inner = format_measured(value / 10.0**power, stderr / 10.0**power)
        return f"({inner}) × 10^{power}".replace("^-", "^−")
    # The power of ten after rounding to two digits, and no more decimals than a double has.
    power = int(f"{stderr:.1e}".partition("e")[2])
    decimals = min(12, max(0, 1 - power))
    rounded = round(value, decimals) + 0.0
    return f"{rounded:.{decimals}f} ± {stderr:.{decimals}f}".replace("-", "−")


def marked(text: str) -> str:
    """Measured digits in ‹guillemets›: what another machine, or seed, may print differently.

    Theory is the same everywhere; a network that was trained is not, since rounding errors grow
    as it trains and processors round differently. Tests compare what stands outside the marks.

    Args:
      text: the digits, as they are to be read.

    Returns:
      The text between the marks.
    """
    return f"‹{text}›"


def claim_anchor(claim_id: str) -> str:
    """The HTML id of a claim's row, to link to: ``"neal/a-b"`` has ``"claim-neal--a-b"``.

    Args:
      claim_id: the claim's id.

    Returns:
      The id.
    """
    return "claim-" + claim_id.replace("/", "--")  # no id has two hyphens in a row


def _fields(row: dict, mark: Callable[[str], str]) -> list[tuple[str, str]]:
    """The labelled parts of a row; ``mark`` encloses whatever was measured."""
    rival = row["rival"]
    rejected = "rejected" if rival["rejected"] else "not rejected"
    return [
        ("predicted", format_number(row["predicted"])),
        ("measured", mark(format_measured(row["measured"], row["stderr"]))),
        ("tolerance", f"± {mark(format_number(row['tolerance'], 2))} ({row['tolerance_reason']})"),
        ("rival", f"{format_number(rival['value'])} ({rival['name']}): {rejected}"),
    ]


def to_text(row: dict) -> str:
    """The row as plain text, one part a line.

    Args:
      row: a claim as ``Claim.to_dict`` gives it.

    Returns:
      The text, measured digits in ‹guillemets›.
    """
    verdict = f"{_MARK[row['verdict']]} {row['verdict']}"
    comment = f" ({row['comment']})" if row["comment"] else ""
    lines = [f"Claim {row['id']}: {row['statement']} [{row['source']}]"]
    lines += [f"  {label}: {text}" for label, text in _fields(row, marked)]
    return "\n".join([*lines, f"  verdict: {verdict}{comment}"])


def to_html(row: dict) -> str:
    """The row as an HTML block that folds into one column on a narrow screen.

    Args:
      row: a claim as ``Claim.to_dict`` gives it.

    Returns:
      The block, measured digits in ``wl-measured`` spans, everything escaped.
    """
    color = _COLOR[row["verdict"]]
    # The marks pass through escaping as control characters, then become the span.
    parts = "".join(
        f'<div style="min-width:9em"><span style="opacity:.75">{label}</span><br>'
        + escape(text).replace("\x02", '<span class="wl-measured">').replace("\x03", "</span>")
        + "</div>"
        for label, text in _fields(row, lambda text: f"\x02{text}\x03")
    )
    comment = f" — {escape(row['comment'])}" if row["comment"] else ""
    return (
        f'<div class="wl-claim" id="{claim_anchor(row["id"])}" '
        f'style="border-left:4px solid {color};padding:.4em .9em;'
        'margin:.6em 0;line-height:1.4;text-align:left;overflow-wrap:anywhere">'
        f"<div><strong>{escape(row['statement'])}</strong> "
        f'<span style="opacity:.75">({escape(row["source"])}; {escape(row["id"])})</span></div>'
        '<div style="display:flex;flex-wrap:wrap;gap:.3em 1.6em;font-size:.92em;margin:.3em 0">'
        f"{parts}</div>"
        # The verdict's colour is the border's: as text it is too faint on a dark page.
        f"<div><strong>{_MARK[row['verdict']]} {row['verdict']}</strong>"
        f"{comment}</div></div>"
    )

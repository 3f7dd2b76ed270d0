"""What was measured is marked, and nothing else is; what a claim says cannot break the page."""

import re
from html import unescape
from xml.etree import ElementTree

import pytest

from widelimit.ledger import Claim, Estimate
from widelimit.ledger.render import format_measured, format_number, marked, to_html, to_text


def row(**changes):
    fields = {
        "id": "neal/variance",
        "statement": "The variance is right.",
        "source": "neal1996, section 2.1",
        "predicted": 0.625,
        "measured": Estimate(0.6251234, 0.0004321, 31),
        "rival": 0.75,
        "rival_name": "no 1/H",
    }
    return Claim(**{**fields, **changes}).to_dict()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (-0.5, "−0.5"),
        (1 / 3, "0.333333"),
        (-1.25e-7, "−1.25 × 10^−7"),
        (1234567.0, "1.23457 × 10^6"),
        (123456.4, "123456"),
    ],
)
def test_a_number_has_six_digits_and_a_true_minus(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (0.6251234, 0.0004321, "0.62512 ± 0.00043"),
        (-1.5, 0.25, "−1.50 ± 0.25"),
        (12.0, 3.4, "12.0 ± 3.4"),
        (1234.0, 56.0, "1234 ± 56"),
        (0.0, 0.012, "0.000 ± 0.012"),
        (1e-4, 1e-5, "0.000100 ± 0.000010"),
        (3.2e-7, 1.1e-8, "(3.20 ± 0.11) × 10^−7"),
        (-3.2e-7, 1.1e-8, "(−3.20 ± 0.11) × 10^−7"),
        (-0.001, 0.25, "0.00 ± 0.25"),  # no negative zero
        (0.0, 2.5e-9, "(0.0 ± 2.5) × 10^−9"),
        (4.56e8, 1.2e6, "(4.560 ± 0.012) × 10^8"),
        (999999.0, 12.0, "999999 ± 12"),
        (1e6, 1.5e4, "(1.000 ± 0.015) × 10^6"),
    ],
)
def test_a_measurement_has_the_digits_of_its_error(value, stderr, text):
    assert format_measured(value, stderr) == text


@pytest.mark.parametrize("power", range(-12, 13))
def test_a_formatted_measurement_reads_back(power):
    value, stderr = -3.14159 * 10.0**power, 0.0271 * 10.0**power
    text = format_measured(value, stderr).replace("−", "-")
    numbers = re.fullmatch(r"\(?(-?[\d.]+) ± ([\d.]+)(?:\) × 10\^(-?\d+))?", text)
    scale = 10.0 ** int(numbers[3] or 0)
    # The value to half a unit of the error's second digit, which is a twentieth of the error.
    assert abs(float(numbers[1]) * scale - value) <= stderr / 20
    assert abs(float(numbers[2]) * scale - stderr) <= stderr / 20


ROWS = {
    "holds": {},
    "caveat": {"caveat": "only at width 77"},
    "outside": {"predicted": 0.5},
    "blunt": {"rival": 0.6253},
    "expected": {"predicted": 0.5, "expected_disagreement": "known since 1999"},
    "systematic": {"systematic": 0.01, "systematic_reason": "next order, 1/H²"},
    "negative": {"predicted": -0.625, "measured": Estimate(-0.6251234, 0.0004321, 31)},
}


@pytest.mark.parametrize("changes", ROWS.values(), ids=ROWS)
def test_marks_hold_measured_digits_and_nothing_else(changes):
    data = row(**changes)
    measured = format_measured(data["measured"], data["stderr"])
    digits = [measured, format_number(data["tolerance"], 2)]
    text, html = to_text(data), to_html(data)
    assert re.findall("‹(.*?)›", text) == digits
    assert re.findall(r'<span class="wl-measured">(.*?)</span>', html) == digits
    # Outside stands all that must not depend on the seed.
    for outside in (
        re.sub("‹.*?›", "", text),
        unescape(re.sub(r'<span class="wl-measured">.*?</span>', "", html)),
    ):
        for part in (
            format_number(data["predicted"]),
            format_number(data["rival"]["value"]),
            "rejected" if data["rival"]["rejected"] else "not rejected",
            data["rival"]["name"],
            data["verdict"],
            data["comment"],
            data["tolerance_reason"],
            data["statement"],
            data["source"],
            data["id"],
        ):
            assert part in outside
        assert measured not in outside


def test_what_is_outside_the_marks_is_the_same_at_every_seed():
    rows = [row(measured=Estimate(0.6251 + shift, 0.0004, 31)) for shift in (0.0, -0.0003)]
    for render, pattern in (
        (to_text, "‹.*?›"),
        (to_html, r'<span class="wl-measured">.*?</span>'),
    ):
        first, second = (render(one) for one in rows)
        assert first != second
        assert re.sub(pattern, "", first) == re.sub(pattern, "", second)


def test_html_is_escaped_and_well_formed():
    nasty = 'a < b & "c" > d </div><script>alert(1)</script>'
    data = row(
        statement=nasty,
        source=nasty,
        rival_name=nasty,
        caveat=nasty,
        systematic=0.01,
        systematic_reason=nasty,
    )
    html = to_html(data)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    tree = ElementTree.fromstring(html.replace("<br>", "<br/>"))
    words = "".join(tree.itertext())
    assert words.count(nasty) == 5
    assert len(tree.findall(".//span[@class='wl-measured']")) == 2
    assert to_text(data).count(nasty) == 5  # plain text needs no escaping


@pytest.mark.parametrize("name", ["holds", "caveat", "outside"])
def test_the_verdict_has_a_mark_beside_its_colour(name):
    data = row(**ROWS[name])
    mark = "✗" if name == "outside" else "✓"
    assert f"{mark} {data['verdict']}" in to_text(data)
    assert f"{mark} {data['verdict']}</strong>" in to_html(data)


def test_no_empty_parentheses_without_a_comment():
    assert to_text(row()).endswith("verdict: ✓ holds")
    assert "— " not in to_html(row())


def test_a_line_of_a_chapter_is_marked_as_a_claim_is():
    assert marked("2.9 3.3") in to_text({**row(), "statement": marked("2.9 3.3")})
    assert re.fullmatch("‹(.*?)›", marked("2.9 3.3")).group(1) == "2.9 3.3"

"""The ledger is read back from notebooks exactly as the claims wrote it."""

import csv
import io
import json

import pytest

from widelimit.ledger import Claim, Estimate, collect
from widelimit.ledger.collect import KEYS


def claim(id="neal/variance", predicted=0.25, **changes):
    fields = {
        "id": id,
        "statement": "The variance of an output tends to σ_b² + σ_w² V as the width grows, "
        "whatever the distribution of the weights, so long as it is finite.",
        "source": "neal1996, section 2.1",
        "predicted": predicted,
        "measured": Estimate(0.251, 0.002, 31),
        "rival": 0.5,
        "rival_name": "the variance without 1/N, a rival",
    }
    return Claim(**{**fields, **changes})


def write(folder, stem, *claims):
    """A notebook that shows the claims, each as the kernel would store it."""
    outputs = []
    for shown in claims:
        data, metadata = shown._repr_mimebundle_()
        outputs.append({"output_type": "execute_result", "data": data, "metadata": metadata})
    outputs.append({"output_type": "stream", "name": "stdout", "text": "no metadata here"})
    cells = [{"cell_type": "markdown", "source": "words"}]
    cells += [{"cell_type": "code", "source": "claim", "outputs": [output]} for output in outputs]
    (folder / f"{stem}.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))


@pytest.fixture
def book(tmp_path):
    write(
        tmp_path, "02-second", claim("second/fails", 0.4, expected_disagreement="the law is wrong")
    )
    write(tmp_path, "01-first", claim("first/a"), claim("first/b", caveat="only at one width"))
    (tmp_path / "03-notes.md").write_text("not a notebook")
    return tmp_path


def test_collects_in_the_order_of_the_book(book):
    rows = collect.collect(book)
    assert [(row["chapter"], row["id"]) for row in rows] == [
        ("01-first", "first/a"),
        ("01-first", "first/b"),
        ("02-second", "second/fails"),
    ]
    assert rows[0] == {**claim("first/a").to_dict(), "chapter": "01-first"}


def test_json_has_exactly_the_keys_and_full_numbers(book):
    rows = json.loads(collect.as_json(collect.collect(book)))
    assert [tuple(row) for row in rows] == [KEYS] * 3
    assert rows[0]["tolerance"] == claim("first/a").tolerance
    assert rows[0]["rival"] == {
        "name": "the variance without 1/N, a rival",
        "value": 0.5,
        "rejected": True,
    }


def test_csv_reads_back(book):
    rows = list(csv.DictReader(io.StringIO(collect.as_csv(collect.collect(book)))))
    assert tuple(rows[0]) == KEYS
    assert [row["verdict"] for row in rows] == ["holds", "holds with a caveat", "does not hold"]
    assert float(rows[0]["tolerance"]) == claim("first/a").tolerance
    assert rows[0]["rival"] == "the variance without 1/N, a rival: 0.5, rejected"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_table_fits_and_counts_the_verdicts(book, width):
    lines = collect.as_table(collect.collect(book), width).splitlines()
    assert max(map(len, lines)) <= width
    assert any(line.endswith("…") for line in lines) == (width < 200)
    summary = "3 claims: 1 holds; 1 holds with a caveat; 1 does not hold"
    assert lines[-1] == collect.shorten(summary, width)
    assert "01-first" in lines
    assert any("only at one width" in line for line in lines)
    assert any("the law is wrong" in line for line in lines) or width < 80
    assert any(line.startswith("first/a ") for line in lines)
    assert any(line.startswith("  holds with a caveat: The") for line in lines)


def test_an_unexecuted_book_has_no_claim(tmp_path):
    write(tmp_path, "01-first")
    assert collect.collect(tmp_path) == []
    assert collect.as_json([]) == "[]"
    assert collect.as_csv([]) == ",".join(KEYS)
    assert collect.as_table([], 80) == "0 claims: 0 holds; 0 holds with a caveat; 0 does not hold"


@pytest.mark.parametrize("other", ["01-first", "02-second"])
def test_an_id_used_twice_names_both_places(tmp_path, other):
    write(tmp_path, "01-first", claim(), *([claim()] if other == "01-first" else []))
    write(tmp_path, "02-second", *([claim()] if other == "02-second" else []))
    with pytest.raises(ValueError, match=rf"neal/variance: one in 01-first\.ipynb.*{other}\.ipynb"):
        collect.collect(tmp_path)


def test_a_claim_that_lacks_a_key_is_refused(tmp_path):
    row = claim().to_dict()
    del row["rival"]
    output = {"metadata": {"widelimit": {"claim": row}}}
    (tmp_path / "01-old.ipynb").write_text(json.dumps({"cells": [{"outputs": [output]}]}))
    with pytest.raises(ValueError, match=r"01-old\.ipynb: claim neal/variance lacks rival"):
        collect.collect(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"cells": 1}', '{"cells": ["x"]}'])
def test_what_is_no_notebook_is_named(tmp_path, text):
    (tmp_path / "01-bad.ipynb").write_text(text)
    with pytest.raises(ValueError, match=r"01-bad\.ipynb is not a notebook"):
        collect.collect(tmp_path)


def test_no_notebook_at_all(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match="holds no notebook"):
            collect.collect(folder)


def test_finds_the_chapters_from_inside_the_book(tmp_path):
    inside = tmp_path / "code" / "deep"
    inside.mkdir(parents=True)
    (tmp_path / "code" / "chapters").mkdir()  # without a _config.yml it is not the book's
    (tmp_path / "chapters").mkdir()
    with pytest.raises(FileNotFoundError, match="--chapters"):
        collect.find_chapters(inside)
    (tmp_path / "_config.yml").touch()
    assert collect.find_chapters(inside) == tmp_path.resolve() / "chapters"
    assert collect.find_chapters(tmp_path) == tmp_path.resolve() / "chapters"

"""The course: twelve weeks, every chapter once and in order, papers that the bibliography has."""

import re

import pytest
import yaml

FIELDS = {"week", "title", "question", "chapters", "before", "read", "skip", "do", "discuss"}
OPTIONAL = {"hand_in"}


@pytest.fixture(scope="module")
def weeks(repo):
    """The weeks as the file has them."""
    text = (repo / "book" / "curriculum.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["weeks"]


def empty_fields(value, place=""):
    """Where, in nested data, there is nothing or a text without a letter or a digit."""
    if isinstance(value, dict):
        inner = [(f"{place}.{name}", part) for name, part in value.items()]
    elif isinstance(value, list):
        inner = [(f"{place}[{i}]", part) for i, part in enumerate(value)]
    else:
        return [] if re.search(r"\w", str(value if value is not None else "")) else [place]
    return [found for name, part in inner for found in empty_fields(part, name)] or (
        [] if inner else [place]
    )


def test_twelve_weeks_in_order(weeks):
    assert [week["week"] for week in weeks] == list(range(1, 13))


def test_every_chapter_once_and_in_order(weeks, repo):
    line = yaml.safe_load((repo / "book" / "line.yml").read_text(encoding="utf-8"))
    chapters = [chapter["slug"] for part in line["parts"] for chapter in part["chapters"]]
    assert [slug for week in weeks for slug in week["chapters"]] == chapters
    assert all(1 <= len(week["chapters"]) <= 3 for week in weeks)


def test_papers_are_in_the_bibliography_and_read_once(weeks, repo):
    bibliography = (repo / "references.bib").read_text(encoding="utf-8")
    known = set(re.findall(r"^@\w+\{([^,\s]+),", bibliography, flags=re.MULTILINE))
    keys = [paper["key"] for week in weeks for paper in week["read"]]
    assert set(keys) - known == set()
    assert len(keys) == len(set(keys))


def test_a_week_can_be_read_in_an_evening(weeks):
    for week in weeks:
        assert 1 <= len(week["read"]) <= 3, week["week"]
        minutes = [paper["minutes"] for paper in week["read"]]
        assert all(isinstance(m, int) and m > 0 for m in minutes), week["week"]
        assert 60 <= sum(minutes) <= 240, week["week"]


def test_two_to_four_questions(weeks):
    for week in weeks:
        assert 2 <= len(week["discuss"]) <= 4, week["week"]
        assert all("?" in question for question in week["discuss"]), week["week"]


def test_no_field_is_missing_misspelt_or_empty(weeks):
    for week in weeks:
        assert FIELDS <= set(week) <= FIELDS | OPTIONAL, week["week"]
        assert all(set(paper) == {"key", "what", "minutes"} for paper in week["read"])
        assert empty_fields(week) == []


@pytest.mark.parametrize(
    "nothing", [{"a": ""}, {"a": None}, {"a": []}, {"a": ["x", " "]}, {"a": [{"b": "…"}]}]
)
def test_an_empty_field_is_found(nothing):
    assert empty_fields(nothing)


def test_text_is_one_paragraph(weeks):
    """The page sets each text into a sentence, a list or a heading."""
    texts = [week[name] for week in weeks for name in ("title", "question", "before", "skip", "do")]
    texts += [week.get("hand_in", "") for week in weeks]
    texts += [paper["what"] for week in weeks for paper in week["read"]]
    texts += [question for week in weeks for question in week["discuss"]]
    assert [text for text in texts if "\n" in text.strip()] == []


def test_mathematics_is_closed(weeks):
    texts = [str(value) for week in weeks for value in week.values()]
    assert [text for text in texts if text.count("$") % 2] == []

"""The bibliography: each entry complete and in one style, each work that is cited among them."""

import ast
import re
import unicodedata
from collections import defaultdict

import pytest
from pybtex.bibtex.utils import split_name_list
from pybtex.database import parse_file, parse_string

# What each type of entry is published in.
VENUE = {
    "article": "journal",
    "book": "publisher",
    "inproceedings": "booktitle",
    "misc": "eprint",
    "techreport": "institution",
}
KEY = r"[a-z]+(?:1[89]|20)\d\d[a-z]*"
PMLR = "Proceedings of Machine Learning Research"
PROPER = {"Bayes", "Bayesian", "Brownian", "Feynman", "Gaussian", "Tensor", "Wasserstein"}

# Exceptions, each with its reason; one that is no longer needed must go.
INITIALS = {
    ("gilpelaez1951", "Gil-Pelaez, J."): "Biometrika prints the initial alone",
    ("sussillo2014", "Abbott, L. F."): "signs all papers so",
}
LATER_PREPRINT = {"yang2021tuning": "the arXiv version came after the proceedings"}


def read(source):
    """The entries by key, authors as they are written."""
    parse = parse_string if isinstance(source, str) else parse_file
    return parse(source, "bibtex", person_fields=[]).entries


def family(name):
    """The family name's letters without accents, small: 'Valle-Pérez, Guillermo' → 'valleperez'."""
    letters = unicodedata.normalize("NFKD", name.split(",")[0])
    return "".join(c for c in letters if c.isascii() and c.isalpha()).lower()


def year(entry):
    """The year as a number; 0 if there is none."""
    found = re.fullmatch(r"(?:1[89]|20)\d\d", entry.fields.get("year", ""))
    return int(found[0]) if found else 0


def has_fields(key, entry):
    if entry.type not in VENUE:
        yield f"is of type {entry.type}; use one of {', '.join(VENUE)}"
        return
    for name in ("author", "title", "year", VENUE[entry.type]):
        if name not in entry.fields:
            yield f"has no {name}; add it"
    if entry.type == "article" and "eprint" not in entry.fields:
        for name in sorted({"volume", "pages"} - set(entry.fields)):
            yield f"has no {name}, nor an eprint instead; add it"
    if entry.fields.get("series") == PMLR:
        for name in sorted({"volume", "pages"} - set(entry.fields)):
            yield f"has no {name}, which proceedings.mlr.press gives; add it"
    if not {"doi", "eprint", "url"} & set(entry.fields):
        yield "leads nowhere; add a doi, an eprint or, where there is neither, a url"


def is_well_keyed(key, entry):
    first = split_name_list(entry.fields.get("author", ""))[:1]
    stem = "".join(map(family, first)) + entry.fields.get("year", "")
    if not re.fullmatch(KEY, key) or not re.fullmatch(f"{re.escape(stem)}[a-z]*", key):
        yield f"should be called {stem}, with a letter or a word behind where two clash"


def names_authors(key, entry):
    for name in split_name_list(entry.fields.get("author", "")):
        if not re.fullmatch(r"[^,.]+, [^,]+", name):
            yield f"has the author {name!r}; write 'Last, First'"
        elif (key, name) not in INITIALS:
            given = name.split(", ")[1]
            if not any(len(word.strip(".")) > 1 for word in re.split(r"[\s-]", given)):
                yield f"has the author {name!r}; write the first name out, or give a reason"


def protects_capitals(key, entry):
    # Most styles print titles in small letters, and leave alone what is in braces.
    for word in re.findall(r"\w+", re.sub(r"\{[^{}]*\}", "", entry.fields.get("title", ""))):
        if word in PROPER or any(c.isupper() for c in word[1:]):
            yield f"has {word!r} bare in its title; write {{{word}}}"


def has_a_venue_in_full(key, entry):
    for field in ("journal", "booktitle"):
        venue = entry.fields.get(field, "")
        if "." in venue or re.search(r"\b(NIPS|NeurIPS|ICML|ICLR|AISTATS|COLT|JMLR|PNAS)\b", venue):
            yield f"has the {field} {venue!r}; write the name out"
    volume = re.fullmatch(
        r"Advances in Neural Information Processing Systems (\d+)",
        entry.fields.get("booktitle", ""),
    )
    if volume:
        # Until 2008 the books came out the year after the conference.
        held = 1987 + int(volume[1])
        if year(entry) != held + (held <= 2008):
            yield f"has volume {volume[1]} in {year(entry)}; mend one of the two"


def is_dated(key, entry):
    if "year" in entry.fields and not year(entry):
        yield f"has the year {entry.fields['year']!r}; write four digits"


def has_pages(key, entry):
    pages = entry.fields.get("pages")
    if pages is None:
        return
    span = re.fullmatch(r"[A-Z]?(\d+)(?:--[A-Z]?(\d+))?", pages)
    if not span or (span[2] and int(span[2]) < int(span[1])):
        yield f"has the pages {pages!r}; write first--last, or the article's number"


def has_an_eprint(key, entry):
    eprint, prefix = entry.fields.get("eprint"), entry.fields.get("archiveprefix")
    if (eprint is None) != (prefix is None) or prefix not in (None, "arXiv"):
        yield "needs eprint and archiveprefix = {arXiv} together, or neither"
    if eprint is None:
        return
    found = re.fullmatch(r"(\d\d)(0[1-9]|1[0-2])\.(\d{4,5})", eprint)
    # Numbers have five digits since 2015; before April 2007 identifiers were of another kind.
    if not found or len(found[3]) != (5 if int(found[1]) >= 15 else 4):
        yield f"has the eprint {eprint!r}; write arXiv's yymm.number, without version"
    elif 2000 + int(found[1]) > year(entry) and key not in LATER_PREPRINT:
        yield f"has the eprint {eprint}, newer than {year(entry)}; mend one, or give a reason"


def has_a_link(key, entry):
    doi, url = entry.fields.get("doi"), entry.fields.get("url")
    if doi is not None and not re.fullmatch(r"10\.\d{4,9}/[^\s{}]+", doi):
        yield f"has the doi {doi!r}; write it from '10.' on, without https://doi.org/"
    if url is not None and not re.fullmatch(r"https://[^\s{}]+", url):
        yield f"has the url {url!r}; write it from 'https://' on"
    if url is not None and {"doi", "eprint"} & set(entry.fields):
        yield "has a url beside its doi or eprint; take the url out"


RULES = (
    *(has_fields, is_well_keyed, names_authors, protects_capitals, has_a_venue_in_full),
    *(is_dated, has_pages, has_an_eprint, has_a_link),
)


def twins(entries):
    """Entries that share what only one may have."""
    for field in ("title", "eprint", "doi"):
        found = defaultdict(list)
        for key, entry in entries.items():
            if field in entry.fields:
                found[re.sub(r"[\W_]", "", entry.fields[field]).lower()].append(key)
        for keys in found.values():
            if len(keys) > 1:
                yield f"{' and '.join(keys)} share their {field}; keep one"


def problems(entries):
    for key, entry in entries.items():
        for rule in RULES:
            yield from (f"{key} {problem}" for problem in rule(key, entry))
    yield from twins(entries)
    keys = list(entries)
    ordered = sorted(keys, key=lambda key: (entries[key].fields.get("year", ""), key))
    yield from (
        f"{key} is out of order; entries go by year, then by key: {right} comes here"
        for key, right in [pair for pair in zip(keys, ordered, strict=True) if len({*pair}) > 1][:1]
    )


@pytest.fixture(scope="module")
def entries(repo):
    return read(repo / "references.bib")


def test_every_entry_is_complete_and_in_one_style(entries):
    assert len(entries) > 50
    assert not list(problems(entries))


def test_every_exception_is_needed(entries):
    for key, name in INITIALS:
        assert name in split_name_list(entries[key].fields["author"]), f"{key}: not needed"
    for key in LATER_PREPRINT:
        posted = 2000 + int(entries[key].fields["eprint"][:2])
        assert posted > year(entries[key]), f"{key}: not needed"


ARTICLE = """@article{doe2020,
  author = {Doe, Jane}, title = {On {Gaussian} Widths}, journal = {Annals of Width},
  volume = {1}, pages = {2--3}, year = {2020}, doi = {10.1000/182},
}"""
PAPER = """@inproceedings{doe2021,
  author = {Doe, Jane and Roe, J. Richard}, title = {On Depth},
  booktitle = {Advances in Neural Information Processing Systems 34}, year = {2021},
  eprint = {2101.00001}, archiveprefix = {arXiv},
}"""


def test_good_entries_pass():
    assert not list(problems(read(ARTICLE + PAPER)))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("author = {Doe, Jane}, title", "title", "doe2020 has no author"),
        ("title = {On {Gaussian} Widths},", "", "doe2020 has no title"),
        ("year = {2020},", "", "doe2020 has no year"),
        ("journal = {Annals of Width},", "", "doe2020 has no journal"),
        ("volume = {1},", "", "doe2020 has no volume"),
        ("pages = {2--3},", "", "doe2020 has no pages"),
        ("doi = {10.1000/182},", "", "doe2020 leads nowhere"),
        ("@article{doe2020", "@online{doe2020", "doe2020 is of type online"),
        ("@article{doe2020", "@article{Doe2020", "Doe2020 should be called doe2020"),
        ("@article{doe2020", "@article{doe2019", "doe2019 should be called doe2020"),
        ("@article{doe2020", "@article{roe2020", "roe2020 should be called doe2020"),
        ("{Doe, Jane},", "{Jane Doe},", "the author 'Jane Doe'; write 'Last, First'"),
        ("{Doe, Jane},", "{Doe, J.-M. K.},", "write the first name out"),
        ("{Gaussian}", "Gaussian", "doe2020 has 'Gaussian' bare in its title"),
        ("Depth", "ReLU", "doe2021 has 'ReLU' bare in its title"),
        ("Annals of Width", "Ann. Width", "doe2020 has the journal 'Ann. Width'"),
        ("Systems 34", "Systems 33", "doe2021 has volume 33 in 2021"),
        ("{2--3}", "{2-3}", "doe2020 has the pages '2-3'"),
        ("{2--3}", "{3--2}", "doe2020 has the pages '3--2'"),
        ("year = {2020}", "year = {20}", "doe2020 has the year '20'"),
        ("2101.00001", "2113.00001", "doe2021 has the eprint '2113.00001'"),
        ("2101.00001", "2101.0001", "doe2021 has the eprint '2101.0001'"),
        ("2101.00001", "2101.00001v2", "doe2021 has the eprint '2101.00001v2'"),
        ("2101.00001", "2201.00001", "doe2021 has the eprint 2201.00001, newer than 2021"),
        (" archiveprefix = {arXiv},", "", "doe2021 needs eprint and archiveprefix"),
        ("{10.1000", "{https://doi.org/10.1000", "doe2020 has the doi 'https://doi.org/"),
        ("doi = {10.1000/182}", "url = {doi.org}", "doe2020 has the url 'doi.org'"),
        ("doi = ", "url = {https://a.org}, doi = ", "doe2020 has a url beside its doi"),
        ("{On Depth}", "{On {Gaussian} Widths}", "doe2020 and doe2021 share their title"),
        ("archiveprefix", "doi = {10.1000/182}, archiveprefix", "doe2021 share their doi"),
        ("volume = {1},", f"series = {{{PMLR}}},", "doe2020 has no volume, which proceedings"),
    ],
)
def test_a_broken_entry_is_named_with_its_remedy(old, new, problem):
    source = ARTICLE + PAPER
    assert source.count(old) == 1, f"{old!r} does not stand once in the good entries"
    found = list(problems(read(source.replace(old, new))))
    assert any(problem in one for one in found), found


def test_entries_out_of_order_are_named():
    assert list(problems(read(PAPER + ARTICLE))) == [
        "doe2021 is out of order; entries go by year, then by key: doe2020 comes here"
    ]


def test_every_cited_key_is_an_entry(repo, entries):
    pages = [*(repo / "chapters").iterdir(), *(repo / "book").rglob("*.md")]
    cited = [
        (page.relative_to(repo), key.strip())
        for page in pages
        if page.suffix in (".md", ".ipynb")
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]*)`", page.read_text(encoding="utf-8"))
        for key in keys.split(",")
    ]
    assert {page.suffix for page, _ in cited} == {".md", ".ipynb"}
    missing = {f"{page} cites {key}" for page, key in cited if key not in entries}
    assert not missing, "add them to references.bib, or mend the keys"


def test_every_claim_and_figure_names_an_entry(repo, entries):
    # A claim's source begins with a key, as do a figure's name and its paper.
    quoted = re.compile(rf'"({KEY})(?=["\s,;:-])')
    texts = [*(repo / "chapters").glob("*.md"), *(repo / "code/widelimit/figures").glob("*.py")]
    named = [
        (text.relative_to(repo), key)
        for text in texts
        for key in quoted.findall(text.read_text(encoding="utf-8"))
    ]
    assert {text.suffix for text, _ in named} == {".md", ".py"}
    missing = {f"{text} names {key}" for text, key in named if key not in entries}
    assert not missing, "add them to references.bib, or mend the keys"


def test_every_work_that_the_package_and_the_line_name_is_an_entry(repo, entries):
    # A work goes by the year of its publication or by that of its preprint.
    known = {
        (family(entry.fields["author"]), when)
        for entry in entries.values()
        for when in (entry.fields["year"], "20" + entry.fields.get("eprint", "")[:2])
    }
    docstrings = [
        (path, " ".join((ast.get_docstring(node) or "").split()))
        for path in (repo / "code" / "widelimit").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    ]
    line = repo / "book" / "line.yml"
    papers = [(line, p) for p in re.findall("papers: (.*)", line.read_text(encoding="utf-8"))]
    # As they cite: Price 1958; Cho & Saul 2009; Daniely, Frostig & Singer 2016; Lee et al. 2019.
    name = r"[A-Z][\w'-]+"
    work = re.compile(rf"({name})(?:(?:, {name})* & {name}| et al\.)? ((?:1[89]|20)\d\d)\b")
    named = [
        (path.relative_to(repo), found)
        for path, text in docstrings + papers
        for found in work.findall(text)
    ]
    assert {path.suffix for path, _ in named} == {".py", ".yml"}
    missing = {
        f"{path} names {first} {year}"
        for path, (first, year) in named
        if (family(first), year) not in known
    }
    assert not missing, "add the works to references.bib, or mend author and year"

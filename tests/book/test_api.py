"""The API reference leaves nothing out: every public name is documented, with what it takes."""

import ast
import importlib
import inspect
import re

import pytest
from sphinx.pycode import ModuleAnalyzer

from pipeline.book import Book
from pipeline.pages import api

# Said once for all functions of the module, in its own docstring.
SAID_BY_THE_MODULE = {
    "widelimit.closed_forms": {"q1", "q2", "cov"},
    # Every figure: (key, scale) -> data, and data -> drawing; `Figure` says so.
    **{
        f"widelimit.figures.{name}": {"key", "scale", "data"}
        for name in (
            "bayesian_regression",
            "cho2009",
            "critical_rate",
            "deep_angles",
            "deep_tangents",
            "gaussian_limit",
            "glorot2010",
            "he2015",
            "jacot2018",
            "jacot2018_components",
            "kernel_movement",
            "layer_answers",
            "lee2018",
            "lee2018_networks",
            "lee2018_uncertainty",
            "lee2019",
            "lee2019_ensemble",
            "lee2019_trajectories",
            "matthews2018",
            "neal1994",
            "poole2016",
            "poole2016_boundary",
            "poole2016_curves",
            "poole2016_phases",
            "poole2016_readouts",
            "scatter_of_lengths",
            "schoenholz2017",
            "schoenholz2017_dropout",
            "schoenholz2017_gradients",
            "schoenholz2017_training",
            "spectral_bias",
            "trained_readouts",
            "variance_count",
            "williams1997",
        )
    },
}
MODULES = api.module_names()
NAMES = [
    pytest.param(module, name, thing, id=f"{module}.{name}")
    for module in MODULES
    for name, thing in api.public(importlib.import_module(module))
]


def sections(thing) -> dict[str, str]:
    """A Google-style docstring by section; what stands before them is ``""``."""
    found, title = {"": ""}, ""
    for line in (inspect.getdoc(inspect.unwrap(thing)) or "").splitlines():
        heading = re.fullmatch(r"(Args|Attributes|Returns|Raises|Yields):", line)
        title = heading[1] if heading else title
        found[title] = found.get(title, "") + ("" if heading else f"{line}\n")
    return found


def documented(section: str) -> set[str]:
    """The names an Args section explains; several may share an entry."""
    entries = re.findall(r"^  (\w[\w, *]*):", section, re.MULTILINE)
    return {name.strip(" *") for entry in entries for name in entry.split(",")}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_is(module):
    said = api.summary(importlib.import_module(module))
    assert said, f"{module} has no docstring; say in a sentence what it is"
    assert said.endswith("."), f"{module}: end its first sentence with a full stop"


@pytest.mark.parametrize("module", MODULES)
def test_constants_are_documented(module):
    tree = ast.parse(ModuleAnalyzer.for_module(module).code)
    public = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and not target.id.startswith("_")
    }
    documented = api.constants(importlib.import_module(module))
    undocumented = public - {*documented, "FIGURES"}  # the registry's own entry
    assert not undocumented, (
        f"{module}: {sorted(undocumented)} are public without a word; write a '#:' comment above, "
        "or begin the name with an underscore"
    )


@pytest.mark.parametrize(("module", "name", "thing"), NAMES)
def test_a_public_name_says_what_it_does(module, name, thing):
    first = api.summary(thing)
    assert first, f"{module}.{name} has no docstring"
    assert re.search(r"[.:]$", first), f"{module}.{name}: end the first sentence with a full stop"


def parameters_of(thing):
    """Names of the parameters; a class of Flax hides those of its ``__init__``."""
    if inspect.isclass(thing) and type(thing) is not type:
        own = vars(thing).get("__init__")
        return list(inspect.signature(own).parameters)[1:] if own else []
    return list(inspect.signature(thing).parameters)


@pytest.mark.parametrize(("module", "name", "thing"), NAMES)
def test_arguments_are_explained(module, name, thing):
    takes = {p for p in parameters_of(thing) if not p.startswith("_")}
    takes -= SAID_BY_THE_MODULE.get(module, set())
    found = sections(thing)
    explained = documented(found.get("Args", "")) | documented(found.get("Attributes", ""))
    missing = takes - explained
    assert not missing, f"{module}.{name}: explain {sorted(missing)} in Args"
    if "Args" in found:
        unknown = documented(found["Args"]) - takes - SAID_BY_THE_MODULE.get(module, set())
        assert not unknown, f"{module}.{name}: Args explains {sorted(unknown)}, which it lacks"


MEMBERS = [
    pytest.param(member, id=f"{thing.__module__}.{name}.{attribute}")
    for name, thing in (p.values[1:] for p in NAMES)
    if inspect.isclass(thing)
    for attribute, member in vars(thing).items()
    if not attribute.startswith("_")
    and (inspect.isfunction(member) or isinstance(member, property))
]


@pytest.mark.parametrize("member", MEMBERS)
def test_methods_and_properties_are_explained(member):
    assert api.summary(member).endswith(".")
    if inspect.isfunction(member):
        takes = set(inspect.signature(member).parameters) - {"self"}
        missing = takes - documented(sections(member).get("Args", ""))
        assert not missing, f"{member.__qualname__}: explain {sorted(missing)} in Args"


@pytest.mark.parametrize(
    ("module", "name", "thing"), [p for p in NAMES if not inspect.isclass(p.values[2])]
)
def test_results_are_explained(module, name, thing):
    if inspect.signature(thing).return_annotation in (None, "None", inspect.Signature.empty):
        return
    found = sections(thing)
    # One line may say it all: "Dual of ReLU, ...".
    whole = set(found) == {""}
    assert whole or "Returns" in found or "Yields" in found, (
        f"{module}.{name}: say in Returns what comes back, its shape, unit and error"
    )


def test_every_module_stands_on_one_page():
    pages = [name for area in api.AREAS for name in api.modules_of(area)]
    assert sorted(pages) == sorted(MODULES), "api.AREAS leaves a module out, or has one twice"


def test_areas_have_pages(repo):
    for area in api.AREAS:
        page = repo / "book" / "api" / f"{area}.md"
        assert page.is_file(), f"book/api/{area}.md is missing"
        assert f"book/api/{area}" in (repo / "_toc.yml").read_text(encoding="utf-8")


def test_equations_named_in_docstrings_are_in_the_chapters(repo):
    book = Book(repo)
    texts = {int(c.slug[:2]): c.text.read_text(encoding="utf-8") for c in book.chapters()}
    found = api.equations()
    assert len(found) >= 14
    for (chapter, number), things in found.items():
        names = ", ".join(name for name, _ in things)
        assert f"\\tag{{{number}}}" in texts.get(chapter, ""), (
            f"{names}: chapter {chapter} has no equation ({number})"
        )


def test_the_table_tells_what_predicts_from_what_measures(repo):
    rows = api.equation_table(Book(repo)).split("   * - ")
    (row,) = [
        row for row in rows if row.startswith("`(1.5) <../chapters/01-neal.html#equation-1-5>`__")
    ]
    predicted, measured = re.findall(r"^     -(.*)$", row, re.MULTILINE)
    assert "theory.finite_width" in predicted
    assert "lab.mixtures" not in predicted
    assert "lab.mixtures" in measured


def test_a_page_names_everything_its_modules_hold():
    page = api.area_page("ledger")
    assert ".. autoclass:: widelimit.ledger.claim.Claim\n   :members:" in page
    assert ".. autofunction:: widelimit.ledger.estimate.loglog_slope" in page
    assert ".. autodata:: widelimit.ledger.claim.HOLDS" in page
    assert "widelimit.ledger.collect" in api.contents()


def test_a_docstring_that_names_equations_is_found():
    found = api.equations()
    assert "kernel" in [name for name, _ in found[1, "1.2"]]
    assert "relu" in [name for name, _ in found[1, "1.16"]]  # behind custom_jvp
    assert list(found) == sorted(found, key=lambda k: [int(n) for n in k[1].split(".")])

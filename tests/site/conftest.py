"""The built site, served as the public one is, and one Chromium to read it with."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

import chromium
from built import Built
from pipeline.book import Book
from serving import serve

HERE = Built(Book(Path(__file__).resolve().parents[2]))


def pytest_generate_tests(metafunc):
    """Run a test that asks for a ``page`` for every page, and so on."""
    # Without a site that is current one test of each is left, which says what to do.
    missing = ["no page"] if HERE.not_current() else []
    asked = metafunc.fixturenames
    if "page" in asked:
        metafunc.parametrize("page", missing or HERE.pages())
    if "visited" in asked:
        metafunc.parametrize("visited", missing or HERE.to_visit())
    if "written" in asked:
        metafunc.parametrize("written", missing or HERE.written())
    if "chapter" in asked:
        metafunc.parametrize("chapter", HERE.book.chapters(), ids=lambda chapter: chapter.slug)


@pytest.fixture(scope="session")
def built():
    """The site that ``make site`` built from the sources that are here."""
    if reason := HERE.not_current():
        pytest.fail(f"{reason}: run 'make site'", pytrace=False)
    return HERE


@pytest.fixture(scope="session")
def served(built):
    """The site's address on this machine, under the path that the public site has."""
    with serve(built.root, built.prefix) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    """A Chromium that reaches this machine alone."""
    path = chromium.required(os.environ)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.flags())
        yield browser
        browser.close()

"""Finding the browser, and what a missing one means: neither needs a browser."""

import pytest

import chromium


@pytest.fixture
def program(tmp_path):
    """Makes a program of a given name, and returns its folder."""

    def make(name):
        path = tmp_path / name / name
        path.parent.mkdir()
        path.write_text("#!/bin/sh\n", encoding="utf-8")
        path.chmod(0o755)
        return path.parent

    return make


@pytest.mark.parametrize("name", chromium.NAMES)
def test_each_usual_name_is_found(program, name):
    folder = program(name)
    assert chromium.required({"PATH": str(folder)}) == str(folder / name)


def test_the_named_one_goes_first(program):
    usual, other = program("chromium"), program("other")
    environment = {"PATH": str(usual), "WIDELIMIT_CHROMIUM": str(other / "other")}
    assert chromium.required(environment) == str(other / "other")


def test_a_wrong_name_is_not_passed_over(program):
    environment = {"PATH": str(program("chromium")), "WIDELIMIT_CHROMIUM": "/no/such/program"}
    with pytest.raises(ValueError, match="WIDELIMIT_CHROMIUM is '/no/such/program'"):
        chromium.required(environment)


@pytest.mark.parametrize("ci", [{}, {"CI": ""}, {"CI": "false"}])
def test_a_laptop_without_a_browser_skips_and_says_how_to_run(tmp_path, ci):
    with pytest.raises(pytest.skip.Exception) as raised:
        chromium.required({"PATH": str(tmp_path), **ci})
    said = str(raised.value)
    assert "apt-get install chromium" in said
    assert "WIDELIMIT_CHROMIUM" in said
    assert "make test" in said


@pytest.mark.parametrize("ci", ["true", "1"])
def test_under_ci_a_missing_browser_is_a_failure(tmp_path, ci):
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        chromium.required({"PATH": str(tmp_path), "CI": ci})

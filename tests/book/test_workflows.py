"""The workflows: well formed, bounded in time and rights, and calling only what exists."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

REPO = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((REPO / ".github" / "workflows").glob("*.yml"))


def read(path: Path) -> dict:
    # YAML 1.1 takes the key "on" for a truth value, and 3.10 for a number.
    return yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)


JOBS = [(path, name) for path in WORKFLOWS for name in read(path)["jobs"]]


def commands(job: dict) -> list[str]:
    return [step["run"] for step in job.get("steps", []) if "run" in step]


@pytest.fixture(scope="module")
def targets() -> set[str]:
    """What ``make`` can make."""
    makefile = (REPO / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_the_three_workflows_are_here():
    assert [path.name for path in WORKFLOWS] == ["publish.yml", "test.yml", "weekly.yml"]


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("github-workflows", ".github/workflows/*.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/*.yml"),
    ],
)
def test_github_will_read_them(schema, pattern):
    files = [str(path) for path in REPO.glob(pattern)]
    assert files
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*command, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("path", "name"), JOBS, ids=lambda value: getattr(value, "stem", value))
def test_a_job_is_bounded_and_calls_what_exists(path, name, targets):
    job = read(path)["jobs"][name]
    assert "permissions" in job
    if "uses" in job:  # a workflow of ours, whose own jobs have their limits
        assert (REPO / job["uses"]).is_file()
        return
    assert 0 < int(job["timeout-minutes"]) <= 120
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used), used
    for command in commands(job):
        assert set(re.findall(r"\bmake ([a-z-]+)", command)) <= targets, command
        for script in re.findall(r"\bbash (\S+)", command):
            assert (REPO / script).is_file(), command


def test_what_reads_the_history_gets_all_of_it():
    """The site's dates of change, and the clone that is tried under Colab's pins."""
    reading = {}
    for path, name in JOBS:
        job = read(path)["jobs"][name]
        if any(re.search(r"\.ci/run|make (site|book|colab)\b", run) for run in commands(job)):
            steps = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
            reading[path.stem, name] = [step["with"].get("fetch-depth") for step in steps]
    assert reading == {
        ("publish", "build"): ["0"],
        ("test", "test"): ["0"],
        ("weekly", "colab"): ["0"],
    }


def test_only_publishing_may_write():
    allowed = {("publish", "deploy"): {"pages": "write", "id-token": "write"}}
    for path, name in JOBS:
        rights = read(path)["jobs"][name]["permissions"]
        assert rights == allowed.get((path.stem, name), {"contents": "read"}), (path.name, name)


def test_a_push_runs_what_a_person_runs():
    test, publish = (read(REPO / ".github" / "workflows" / f"{n}.yml") for n in ("test", "publish"))
    assert {"push", "pull_request", "workflow_call"} <= set(test["on"])
    assert "bash .ci/run" in commands(test["jobs"]["test"])
    # The push that test.yml leaves out is tested by the workflow that publishes it.
    assert test["on"]["push"]["branches-ignore"] == publish["on"]["push"]["branches"] == ["main"]
    assert publish["jobs"]["build"]["needs"] == "test"
    assert publish["jobs"]["deploy"]["needs"] == "build"
    steps = commands(publish["jobs"]["build"])
    assert steps.index("make publish-check") < steps.index("make site")


def test_the_pythons_tried_are_those_the_package_names():
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {c.rpartition(" ")[2] for c in project["classifiers"] if ":: Python :: 3." in c}
    tried = set()
    for path, name in JOBS:
        job = read(path)["jobs"][name]
        tried |= set(re.findall(r"python:(3\.\d+)", str(job.get("container", ""))))
        for step in job.get("steps", []):
            tried |= set(step.get("with", {}).get("python-version", "").split())
    assert tried == named


def test_every_make_command_that_a_text_names_exists(targets):
    texts = [REPO / "README.md", REPO / "CONTRIBUTING.md", REPO / "CHANGELOG.md"]
    texts += [*(REPO / "book").glob("*.md"), REPO / ".pre-commit-config.yaml"]
    named = {
        (path.name, target)
        for path in texts
        for target in re.findall(r"(?:`|^ *|entry: )make ([a-z-]+)", path.read_text("utf-8"), re.M)
    }
    assert ("README.md", "book") in named
    assert {(name, target) for name, target in named if target not in targets} == set()

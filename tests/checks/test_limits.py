"""Findings that only large data sets and other machines cause, and how findings are collected."""

import shutil
from pathlib import Path

import pytest
from small_records import write_records

from tfod_kit import checks, pipeline_config
from tfod_kit.checks import balance, memory, shard_files
from tfod_kit.checks.base import CheckContext
from tfod_kit.checks.findings import EXAMPLES, CheckFindings, Finding, Level, Location, counts
from tfod_kit.checks.scanning.facts import SplitFacts
from tfod_kit.checks.targets import CheckTarget, RecordSplit
from tfod_kit.configuration import Request, configure
from tfod_kit.core import labels
from tfod_kit.errors import ConfigError
from tfod_kit.io import hardware

GIB = 2**30


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_records(tmp_path / "records", train=24)
    configure(Request(tmp_path / "records", tmp_path / "run", "ssd_cpu"))
    return tmp_path / "run"


def _codes(run: Path) -> dict[str, Finding]:
    return {each.code: each for each in checks.check(run).findings}


def test_the_gpus_memory_counts_if_there_is_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = pipeline_config.load(run)
    step = memory.step_bytes(config)
    monkeypatch.setattr(hardware, "memory", lambda: step // 2)
    found = _codes(run)["memory_device"]
    assert "--batch_size 7" in found.fix, "90% of half of 16"
    monkeypatch.setattr(hardware, "gpu_memory", lambda: 2 * step)
    assert "memory_device" not in _codes(run)


def test_an_estimate_grows_with_batch_and_input(run: Path) -> None:
    config = pipeline_config.load(run)
    before = memory.step_bytes(config)
    config.train_config.batch_size *= 2
    config.model.ssd.image_resizer.fixed_shape_resizer.height *= 2
    assert memory.step_bytes(config) == 4 * before


def test_a_shuffle_buffer_that_fills_the_memory(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "memory", lambda: 50_000)
    monkeypatch.setattr(hardware, "gpu_memory", lambda: 100 * GIB)
    found = _codes(run)["memory_host"]
    assert "24 records" in str(found.examples[0])


def test_one_long_shard(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_files, "_LARGE_FILE", 1000)
    assert _codes(run)["one_long_shard"].level == Level.NOTE


def test_classes_with_far_more_objects_than_others() -> None:
    findings = CheckFindings()
    objects = [b"ant"] * 9000 + [b"bee"] * 50 + [b"cat"] * 400
    facts = SplitFacts(texts=list(objects), ids=[None] * len(objects))
    facts.owner.extend([0] * len(objects))
    split = RecordSplit("train", [], labels.from_names(["ant", "bee", "cat"]))
    context = CheckContext(CheckTarget(None, [split]), facts={"train": facts})
    balance.check_balance(context, findings)
    (found,) = findings.all()
    assert (found.code, str(found.examples[0])) == ("class_imbalance", "train: ant 9,000, bee 50")


def test_findings_are_grouped_and_ordered_and_keep_the_first_locations() -> None:
    findings = CheckFindings()
    findings.note("n", "A note.")
    for number in range(20):
        findings.error("e", "An error.", Location("file", number), fix="Repair it.")
    findings.error("e", "Another cause.", Location("file"), fix="Repair it.")
    findings.from_error("c", ConfigError("No.", expected="this", found="that", fix="Do."), "config")
    first, second, third, last = findings.all()
    assert (first.count, [location.record for location in first.examples]) == (
        20,
        [*range(EXAMPLES)],
    )
    assert second.reason == "Another cause."
    assert str(third.examples[0]) == "config: found that; expected this"
    assert last.level == Level.NOTE
    assert counts(findings.all()) == {Level.ERROR: 3, Level.WARNING: 0, Level.NOTE: 1}


def test_files_below_the_working_folder_have_relative_names(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(next(run.parent.glob("records/train-*")), run / "train.record")
    (run / "train.record").write_bytes(b"")
    monkeypatch.chdir(run)
    (found,) = [each for each in checks.check("train.record").findings if each.code == "file_empty"]
    assert found.examples[0].file == "train.record"

"""CheckFindings that only large data sets and other machines bring about."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from small_records import write_records

from tfod_kit import checks, pipeline_config
from tfod_kit.checks import memory, settings, splits
from tfod_kit.checks.findings import EXAMPLES, CheckFindings, Finding, Level, Location, counts
from tfod_kit.checks.inputs import RecordSplit
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


def test_a_gpu_counts_before_the_hosts_memory(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = pipeline_config.load(run)
    step = memory.needed(config)
    monkeypatch.setattr(hardware, "memory", lambda: step // 2)
    found = _codes(run)["memory_device"]
    assert "--batch_size 7" in found.fix, "90% of half of 16"
    monkeypatch.setattr(hardware, "gpu_memory", lambda: 2 * step)
    assert "memory_device" not in _codes(run)


def test_an_estimate_grows_with_batch_and_input(run: Path) -> None:
    config = pipeline_config.load(run)
    before = memory.needed(config)
    config.train_config.batch_size *= 2
    config.model.ssd.image_resizer.fixed_shape_resizer.height *= 2
    assert memory.needed(config) == 4 * before


def test_a_shuffle_buffer_that_fills_the_memory(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "memory", lambda: 50_000)
    monkeypatch.setattr(hardware, "gpu_memory", lambda: 100 * GIB)
    found = _codes(run)["memory_host"]
    assert "24 records" in str(found.examples[0])


def test_one_long_shard(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_LONG_FILE", 1000)
    assert _codes(run)["one_long_shard"].level == Level.NOTE


def test_some_classes_far_more_often_than_others() -> None:
    findings = CheckFindings()
    split = RecordSplit("train", [])
    classes = labels.from_names(["ant", "bee", "cat"])
    splits.check_balance(split, Counter(ant=9000, bee=50, cat=400), classes, findings)
    (found,) = findings.all()
    assert (found.code, str(found.examples[0])) == (
        "class_imbalance",
        "train: ant 9,000, bee 50",
    )


def test_findings_are_grouped_ordered_and_keep_the_first_places() -> None:
    findings = CheckFindings()
    findings.note("n", "A note.")
    for number in range(20):
        findings.error("e", "An error.", Location("file", number), fix="Mend it.")
    findings.error("e", "Another cause.", Location("file"), fix="Mend it.")
    findings.refused("c", ConfigError("No.", expected="this", found="that", fix="Do."), "config")
    first, second, third, last = findings.all()
    assert (first.count, [place.record for place in first.examples]) == (20, [*range(EXAMPLES)])
    assert second.reason == "Another cause."
    assert str(third.examples[0]) == "config: found that; expected this"
    assert last.level == Level.NOTE
    assert counts(findings.all()) == {Level.ERROR: 3, Level.WARNING: 0, Level.NOTE: 1}


def test_files_are_named_from_the_working_folder_on(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(next(run.parent.glob("records/train-*")), run / "train.record")
    (run / "train.record").write_bytes(b"")
    monkeypatch.chdir(run)
    (found,) = [each for each in checks.check("train.record").findings if each.code == "file_empty"]
    assert found.examples[0].file == "train.record"

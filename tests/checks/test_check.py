"""check() as a whole: what it takes, how much it reads, and the verb `tfod check`."""

import json
from pathlib import Path

import pytest
from altered import TRAIN, VAL, set_features

from tfod_kit import checks
from tfod_kit.checks import CheckOptions, Level
from tfod_kit.cli.main import main
from tfod_kit.errors import UsageError


def test_an_intact_run_has_no_findings(folder: Path) -> None:
    report = checks.check(folder / "run")
    assert [each for each in report.findings if each.level != Level.NOTE] == []
    assert report.ok
    assert report.splits["train"].records == 24
    assert report.splits["val"].classes == {"red": 6, "blue": 6}
    assert checks.quick(folder / "run" / "pipeline.config") == []


def test_records_without_a_config(folder: Path) -> None:
    records = folder / "records"
    report = checks.check(records)
    assert report.ok
    assert list(report.splits) == ["train", "val"]
    set_features(records / TRAIN, CLASS_TEXT=[b"rot", b"blue"])
    assert not checks.check(records).ok
    assert not checks.check(records / TRAIN).ok
    assert not checks.check(f"{records}/train-*").ok
    (records / "label_map.pbtxt").unlink()
    report = checks.check(records)
    assert [each.code for each in report.findings] == ["label_map_absent"]
    assert report.splits["train"].classes["rot"] == 1


def test_record_files_named_by_other_tools(folder: Path) -> None:
    records = folder / "records"
    (records / TRAIN).rename(records / "coco_train.record-00000-of-00002")
    (records / VAL).rename(records / "val.record")
    report = checks.check(records)
    assert {name: held.records for name, held in report.splits.items()} == {
        "coco_train": 24,
        "val": 6,
    }
    assert [each.code for each in report.findings] == ["shards_missing"]


def test_records_in_place_of_the_label_map_are_reported(folder: Path) -> None:
    records = folder / "records"
    report = checks.check(records, CheckOptions(label_map=records / TRAIN))
    (found,) = [each for each in report.findings if each.code == "label_map_unusable"]
    assert "swapped" in found.fix


def test_a_sample_reads_less_and_keeps_the_records_indices(folder: Path) -> None:
    set_features(folder / "records" / TRAIN, only=20, CLASS_TEXT=[b"rot", b"blue"])
    report = checks.check(folder / "run", CheckOptions(sample=6))
    assert report.splits["train"].records == 6
    (found,) = [each for each in report.findings if each.code == "class_unknown"]
    assert found.examples[0].record == 20


def test_the_quick_check_reads_the_first_records_and_all_lengths(folder: Path) -> None:
    path = folder / "run" / "pipeline.config"
    set_features(folder / "records" / TRAIN, CLASS_TEXT=[b"rot", b"blue"])
    assert [each.code for each in checks.quick(path)] == ["class_unknown"]
    whole = (folder / "records" / VAL).read_bytes()
    (folder / "records" / VAL).write_bytes(whole[:-5])
    assert {each.code for each in checks.quick(path)} == {"class_unknown", "file_damaged"}


@pytest.mark.parametrize("path", ["absent", "empty", "records-*"])
def test_nothing_to_check(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="nothing to check"):
        checks.check(tmp_path / path)


def test_the_verb(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder / "run")]) == 0
    assert "Ready to train" in capsys.readouterr().out
    set_features(folder / "records" / TRAIN, only=None, CLASS_TEXT=[b"rot", b"blue"])
    assert main(["check", str(folder / "run")]) == 1
    printed = capsys.readouterr().out
    assert "error" in printed
    printed_as_one = " ".join(printed.split())
    assert "(24 times)" in printed_as_one
    assert "... and 19 more" in printed
    assert "Not ready to train: 1 error" in printed
    assert main(["check", str(folder / "absent")]) == 2


def test_the_verb_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_features(folder / "records" / TRAIN, CLASS_TEXT=[b"rot", b"blue"])
    assert main(["check", str(folder / "run"), "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["ok"] is False
    (found,) = [each for each in printed["findings"] if each["code"] == "class_unknown"]
    assert found["level"] == "error"
    path = str(folder / "records" / TRAIN)
    assert found["examples"][0] == {"file": path, "record": 1, "found": ""}

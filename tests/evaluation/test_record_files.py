"""Which records a model is measured on, of data sets with and without val."""

from pathlib import Path

import pytest
from small_records import write_records
from tfod import small_model

from tfod_kit.errors import UsageError
from tfod_kit.evaluation import record_files
from tfod_kit.records import shards


def renamed(records: Path, split: str) -> Path:
    """The records with another name for the val split."""
    (records / shards.name("val", 0, 1)).rename(records / shards.name(split, 0, 1))
    return records


def test_val_is_measured_on_unless_another_split_is_named(tmp_path: Path) -> None:
    records = write_records(tmp_path / "records")
    chosen = record_files.named(records)
    assert (chosen.split, chosen.count(), chosen.note) == ("val", 2, "")
    assert record_files.named(records, "train").count() == 4


@pytest.mark.parametrize("split", ["test", "valid", "site_b"])
def test_without_val_the_other_split_is_used_with_a_note(tmp_path: Path, split: str) -> None:
    chosen = record_files.named(renamed(write_records(tmp_path / "records"), split))
    assert (chosen.split, chosen.count()) == (split, 2)
    assert chosen.note == f"{tmp_path / 'records'} has no val split; measured on {split}."


def test_training_records_alone_are_refused_with_advice(tmp_path: Path) -> None:
    records = write_records(tmp_path / "records", val=0)
    with pytest.raises(UsageError) as refused:
        record_files.named(records)
    assert "--split train=0.8,val=0.2" in str(refused.value)
    assert record_files.named(records, "train").split == "train"


def test_several_unknown_splits_are_not_guessed_between(tmp_path: Path) -> None:
    records = renamed(write_records(tmp_path / "records"), "site_a")
    (records / shards.name("train", 0, 1)).rename(records / shards.name("site_b", 0, 1))
    with pytest.raises(UsageError, match="not clear") as refused:
        record_files.named(records)
    assert "site_a, site_b" in str(refused.value)


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no records"):
        record_files.named(tmp_path)


def test_the_config_of_a_data_set_without_val_leads_to_its_folder(tmp_path: Path) -> None:
    records = write_records(tmp_path / "records", val=0)
    small_model(records, tmp_path / "run")
    with pytest.raises(UsageError, match="not trained on") as refused:
        record_files.choose(tmp_path / "run")
    assert "--split train" in str(refused.value)
    assert record_files.choose(tmp_path / "run", split="train").count() == 4
    # Records that were added since are found.
    write_records(tmp_path / "more", train=0, val=3)
    name = shards.name("test", 0, 1)
    (tmp_path / "more" / shards.name("val", 0, 1)).rename(records / name)
    chosen = record_files.choose(tmp_path / "run")
    assert (chosen.split, chosen.count()) == ("test", 3)
    assert "measured on test" in chosen.note

"""The classes of a checkpoint are found in what surrounds it."""

import json
from pathlib import Path

import pytest

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.errors import CheckpointError, ConfigError
from tfod_kit.runs import checkpoint_classes
from tfod_kit.zoo import catalog

OWN = labels.from_names(["cat", "dog"])


def save(path: Path, names=("cat", "dog")) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    labels.save(labels.from_names(names), path)
    return path


def config(folder: Path, classes: int, label_map: str) -> None:
    written = pipeline_config.load(catalog.find("ssd_cpu").base_config)
    pipeline_config.model_of(written).num_classes = classes
    written.train_input_reader.label_map_path = label_map
    folder.mkdir(parents=True, exist_ok=True)
    pipeline_config.save(written, folder / "pipeline.config")


def names(prefix: Path, count: int = 2, given: Path | None = None) -> list[str] | None:
    found = checkpoint_classes.find(prefix, count, given)
    return None if found is None else list(found.label_map)


@pytest.mark.parametrize("below", ["", "checkpoint", "best"])
def test_a_label_map_beside_the_checkpoint_or_its_folder(tmp_path: Path, below: str) -> None:
    path = save(tmp_path / "label_map.pbtxt")
    found = checkpoint_classes.find(tmp_path / below / "ckpt-0", 2)
    assert found == checkpoint_classes.CheckpointClasses(OWN, str(path))


def test_the_record_of_a_run_wins_over_a_label_map_that_changed_since(tmp_path: Path) -> None:
    config(tmp_path / "run", 2, str(save(tmp_path / "records/label_map.pbtxt", ("bee", "ant"))))
    record = {"classes": {"1": "cat", "2": "dog"}, "starts": []}
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    assert names(tmp_path / "run" / "best" / "ckpt-9") == ["cat", "dog"]


def test_the_label_map_of_its_config(tmp_path: Path) -> None:
    config(tmp_path / "run", 2, str(save(tmp_path / "records/label_map.pbtxt")))
    assert names(tmp_path / "run" / "ckpt-9") == ["cat", "dog"]


def test_a_label_map_that_its_config_names_elsewhere_but_is_beside_it(tmp_path: Path) -> None:
    config(tmp_path / "run", 2, "C:/theirs/pets.pbtxt")
    save(tmp_path / "run" / "pets.pbtxt")
    assert names(tmp_path / "run" / "ckpt-9") == ["cat", "dog"]


def test_the_zoos_archives_have_the_classes_of_coco(tmp_path: Path) -> None:
    archive = tmp_path / "ssd_mobilenet_v2_320x320_coco17_tpu-8"
    config(archive, 90, "PATH_TO_BE_CONFIGURED/label_map.txt")
    found = names(archive / "checkpoint" / "ckpt-0", 90)
    assert found is not None
    assert (len(found), found[0]) == (80, "person")


def test_a_label_map_with_another_number_of_classes_is_not_its_own(tmp_path: Path) -> None:
    path = save(tmp_path / "label_map.pbtxt")
    assert names(tmp_path / "ckpt-0", 3) is None
    with pytest.raises(CheckpointError, match="does not belong to the checkpoint") as caught:
        names(tmp_path / "ckpt-0", 3, path)
    assert "ids up to 2" in str(caught.value.found)


def test_the_config_of_a_new_run_around_a_copied_checkpoint_is_not_its_own(tmp_path: Path) -> None:
    config(tmp_path / "run", 2, str(save(tmp_path / "records/label_map.pbtxt")))
    assert names(tmp_path / "run" / "initial_weights" / "ckpt-0") is None


def test_a_label_map_that_the_user_names_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        names(tmp_path / "ckpt-0", 2, tmp_path / "none.pbtxt")
    (tmp_path / "label_map.pbtxt").write_text("hello")
    assert names(tmp_path / "ckpt-0") is None

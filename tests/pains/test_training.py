"""The failures of training, evaluation and export: rows 31 to 40 of docs/troubleshooting.md."""

import re
from pathlib import Path
from typing import Any

import pytest
from checked_run import edit, find
from index_writer import write_index
from PIL import Image
from small_records import write_records
from tfod import small_model, tfod

from tfod_kit import checks, evaluation
from tfod_kit.configuration import edits
from tfod_kit.configuration.dataset import SplitRecords
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.engine import runtime
from tfod_kit.errors import ConfigError, DataError
from tfod_kit.exports import parity
from tfod_kit.io import resources
from tfod_kit.runs import checkpoints, training_history
from tfod_kit.training.freezing import freeze


def test_31_a_batch_that_does_not_fit_is_estimated(folder: Path) -> None:
    edit(folder / "run", train_config__batch_size="50000")
    found = find(folder / "run", "memory_device")
    assert "estimate" in found.reason
    assert "--batch_size" in found.fix


def test_32_the_shuffle_buffer_fits_the_records() -> None:
    large = SplitRecords(pattern="", shards=10, images=50_000, size=50_000 * 5 * 2**20)
    assert edits.shuffle_buffer(large) * 5 * 2**20 <= 256 * 2**20
    small = SplitRecords(pattern="", shards=1, images=300, size=300 * 1000)
    assert edits.shuffle_buffer(small) == 300


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of three steps, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    write_records(folder / "records", train=8)
    small_model(folder / "records", folder / "run", "--steps", 3)
    return folder / "run", tfod("train", folder / "run")


@pytest.mark.slow
def test_33_the_start_is_announced_and_each_step_shown(trained: tuple[Path, str]) -> None:
    _, printed = trained
    assert "Building the graph at the first step" in printed
    assert re.search(r"training: [123]/3 steps .*loss ", printed)


@pytest.mark.slow
def test_34_the_last_step_is_saved_and_check_reports_that_training_is_done(
    trained: tuple[Path, str],
) -> None:
    run, _ = trained
    assert checkpoints.latest(run) == run / "ckpt-3"
    assert find(run, "already_trained").level == checks.Level.WARNING


def test_34_check_reports_that_a_run_will_resume(folder: Path) -> None:
    write_index(folder / "run" / "ckpt-7", {"model/kernel": (1,)})
    (folder / "run" / "ckpt-7.data-00000-of-00001").write_bytes(bytes(4))
    assert "resumes from it" in find(folder / "run", "resumes").reason


@pytest.mark.slow
def test_35_frozen_layers_are_listed_and_a_pattern_without_effect_is_an_error() -> None:
    keras = runtime.start().keras
    layers = [keras.layers.Dense(2, name="body"), keras.layers.Dense(1, name="head")]
    model = keras.Sequential(layers)
    model.build((None, 3))
    frozen = freeze(model, ["body"], [], "pipeline.config")
    assert frozen.ids == {id(variable) for variable in layers[0].variables}
    with pytest.raises(ConfigError, match=r"such as.*body"):
        freeze(model, ["bodi"], [], "pipeline.config")


@pytest.mark.slow
def test_36_checkpoints_are_measured_while_training(trained: tuple[Path, str]) -> None:
    run, printed = trained
    (point,) = training_history.read(run).evals
    assert (point.step, point.split) == (3, "val")
    assert set(point.classes) == {"red", "blue"}
    measured = point.metrics["DetectionBoxes_Precision/mAP"]
    assert 0 <= measured <= 1
    assert f"Step 3: mAP {measured:.3f}" in printed


def test_37_damage_during_the_evaluation_is_raised(folder: Path) -> None:
    path = folder / "records" / "val-00000-of-00001.tfrecord"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="cut short"):
        list(evaluation.read_examples([path], None))


def test_38_no_ground_truth_differs_from_an_ap_of_0_for_each_class() -> None:
    class Nothing:
        def detect(self, images: Any) -> list[tuple[ObjectAnnotation, ...]]:
            return [() for _ in images]

    truth = ImageAnnotation(
        Path("a"), 200, 200, "a", (ObjectAnnotation("cat", Box(0, 0, 0.9, 0.9)),)
    )
    shown = [evaluation.Example(truth, Image.new("RGB", (200, 200)))]
    result = evaluation.evaluate(Nothing(), shown, ["cat", "dog"])  # type: ignore[arg-type]
    assert result.classes["cat"].ap == 0.0
    assert result.classes["dog"].ap == evaluation.NOT_MEASURED
    assert result.metrics["DetectionBoxes_Precision/mAP (small)"] == evaluation.NOT_MEASURED


def test_39_an_export_that_detects_something_else_fails() -> None:
    def seen(*boxes: Box) -> list[tuple[ObjectAnnotation, ...]]:
        return [tuple(ObjectAnnotation("cat", box, score=0.9) for box in boxes)]

    checkpoint = seen(Box(0.1, 0.1, 0.5, 0.5))
    assert parity.compare(checkpoint, checkpoint).holds
    assert not parity.compare(checkpoint, seen(Box(0, 0, 0, 0))).holds, "zeros"
    assert not parity.compare(checkpoint, seen()).holds, "cut off"
    assert not parity.compare(checkpoint, seen(Box(0.1, 0.1, 0.5, 0.48))).holds, "shifted"


def test_40_local_paths_for_a_tpu_and_too_few_shards(folder: Path) -> None:
    report = checks.check(folder / "run", checks.CheckOptions(tpu=True, workers=8))
    found = {each.code: each for each in report.findings}
    assert "File system scheme '[local]' not implemented" in found["path_not_on_gs"].reason
    assert found["shards_below_workers"].level == checks.Level.ERROR
    assert resources.pipelines().is_dir(), "each model has a base that needs no download"

"""The defaults of a training by its weights, its images and their boxes."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from index_writer import write_index
from PIL import Image

from tfod_kit import pipeline_config
from tfod_kit.compat import environment
from tfod_kit.configuration import Configured, Request, anchor_fit, plan, start
from tfod_kit.configuration.boxes import Boxes
from tfod_kit.core import labels
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.errors import UsageError
from tfod_kit.evaluation import record_files
from tfod_kit.records import example, images, shards
from tfod_kit.zoo import catalog

DETECTOR = {"model/_feature_extractor/x": (1,), "model/_box_predictor/x": (1,)}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return written(tmp_path / "records", 200)


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return str(write_index(tmp_path / "weights" / "ckpt-0", DETECTOR, True))


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: False)


def written(
    folder: Path, number: int, sides: Sequence[float] = (0.5,), *, small: str = "cell"
) -> Path:
    """Records of one tiny image with square boxes of these sides, as parts of its width.

    Boxes of a side below 0.1 are of the class `small`.
    """
    folder.mkdir()
    label_map = labels.from_names(["cell", small])
    labels.save(label_map, folder / "label_map.pbtxt")
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    path = folder / "image.png"
    path.write_bytes(stream.getvalue())
    objects = tuple(
        ObjectAnnotation(small if side < 0.1 else "cell", Box(0.13, 0.13, 0.13 + side, 0.13 + side))
        for side in sides
    )
    annotation = ImageAnnotation(path, 8, 8, "image", objects)
    record = example.encode(annotation, images.load(path), label_map)
    path.unlink()
    for split, count in (("train", number), ("val", 4)):
        shards.write(folder / shards.name(split, 0, 1), [record] * count)
    return folder


def planned(records: Path, **options: object) -> Configured:
    return plan(Request(records=records, out=records.parent / "run", **options))


def length(result: Configured) -> tuple[int, int]:
    training = result.config.train_config
    return training.batch_size, training.num_steps


# ---- from weights --------------------------------------------------------------------------------


def test_fine_tuning(records: Path, weights: str) -> None:
    result = planned(records, model="fpnlite", checkpoint=weights, input_size=(320, 320))
    assert length(result) == (8, 500), "20 times 200 images in batches of 8"
    assert pipeline_config.learning_rate(result.config) == pytest.approx(0.04)
    assert list(result.config.train_config.freeze_variables) == [
        r"^(bn_)?Conv1/",
        r"^expanded_conv_",
        r"^block_[123]_",
    ]
    for reason in ("200 images from weights: 500 steps", "0.04, not 0.005", "first blocks"):
        assert any(reason in note for note in result.notes), result.notes


@pytest.mark.parametrize(
    ("number", "expected"), [(20, (8, 400)), (400, (8, 1000)), (5000, (8, 10_000))]
)
def test_the_length_follows_the_images(
    tmp_path: Path, weights: str, number: int, expected: tuple[int, int]
) -> None:
    records = written(tmp_path / "others", number)
    result = planned(records, model="fpnlite", checkpoint=weights, input_size=(320, 320))
    assert length(result) == expected


def test_large_objects_are_trained_on_at_a_smaller_size_and_for_more_steps(
    tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boxes of half and of an eighth of 224 px: 112 and 28 px."""
    records = written(tmp_path / "large", 20, sides=(0.5, 0.5, 0.126))
    options = {"records": records, "model": "fpnlite", "checkpoint": weights}
    result = planned(**options)
    assert side_of(result) == 224
    assert length(result) == (8, 816), "the time of 400 steps at 320 px"
    assert any("224x224 px instead of 320x320" in note for note in result.notes)
    for kept in ({"anchors": "keep"}, {"input_size": (320, 320)}):
        assert side_of(planned(**options, **kept)) == 320
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: True)
    assert side_of(planned(**options)) == 320


@pytest.mark.parametrize("small", ["cell", "platelet"])
def test_small_objects_of_any_class_keep_the_size(tmp_path: Path, weights: str, small: str) -> None:
    """Boxes of 22 px: more than a tenth of all, or all of their class."""
    number = 2 if small == "cell" else 1
    records = written(tmp_path / "some", 20, sides=(0.5,) * 10 + (0.099,) * number, small=small)
    assert side_of(planned(records, model="fpnlite", checkpoint=weights)) == 320


def test_a_gpu_takes_the_batch_size_of_the_base(
    records: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: True)
    assert length(planned(records, model="fpnlite", checkpoint=weights)) == (16, 400)


def test_each_default_can_be_overridden(records: Path, weights: str) -> None:
    result = planned(
        records,
        model="fpnlite",
        checkpoint=weights,
        batch_size=4,
        epochs=2,
        learning_rate=0.001,
        freeze="none",
    )
    assert length(result) == (4, 100)
    assert pipeline_config.learning_rate(result.config) == pytest.approx(0.001)
    assert not result.config.train_config.freeze_variables
    scaled = planned(records, model="fpnlite", checkpoint=weights, scale_rate=False)
    assert pipeline_config.learning_rate(scaled.config) == pytest.approx(0.01), "the base's"


def test_other_optimisers_keep_at_least_the_rate_of_the_base(records: Path, weights: str) -> None:
    parts = ("_feature_extractor_for_proposal_features", "_first_stage_box_predictor")
    other = write_index(
        records.parent / "faster" / "ckpt-0", {f"model/{part}/x": (1,) for part in parts}, True
    )
    base = pipeline_config.load(catalog.find("faster_rcnn").base_config)
    result = planned(records, model="faster_rcnn", checkpoint=str(other), batch_size=1)
    assert pipeline_config.learning_rate(result.config) == pipeline_config.learning_rate(base)
    scratch = planned(records, model="faster_rcnn", batch_size=1)
    share = 1 / base.train_config.batch_size
    assert pipeline_config.learning_rate(scratch.config) == pytest.approx(
        share * pipeline_config.learning_rate(base)
    )


def test_early_blocks_are_only_frozen_where_they_can_be(records: Path, weights: str) -> None:
    with pytest.raises(UsageError, match="random weights"):
        planned(records, model="fpnlite", freeze="early")
    with pytest.raises(UsageError, match="ssd_resnet50_v1_fpn_keras"):
        planned(records, model="retinanet50", checkpoint=weights, freeze="early")


def test_nothing_is_frozen_in_random_weights(records: Path, weights: str, tmp_path: Path) -> None:
    tuned = planned(records, model="fpnlite", checkpoint=weights).config
    base = tmp_path / "base.config"
    pipeline_config.save(tuned, base)
    result = planned(records, base=base, checkpoint="none")
    assert not result.config.train_config.freeze_variables
    assert any("would stay random" in note for note in result.notes)
    kept = planned(records, base=base, checkpoint=weights)
    assert kept.config.train_config.freeze_variables == tuned.train_config.freeze_variables


# ---- from random weights -------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "steps"), [(200, 1000), (3000, 3750), (40_000, 10_000)])
def test_from_random_weights(tmp_path: Path, number: int, steps: int) -> None:
    result = planned(written(tmp_path / "others", number))
    assert length(result) == (16, steps)
    assert pipeline_config.learning_rate(result.config) == pytest.approx(0.002)
    assert not result.config.train_config.freeze_variables
    assert any(f": {steps:,} steps, " in note for note in result.notes) == (steps != 1000)


# ---- augmentations -------------------------------------------------------------------------------


def steps_of(result: Configured) -> list[str]:
    options = result.config.train_config.data_augmentation_options
    return [step.WhichOneof("preprocessing_step") for step in options]


def test_the_default_model_augments_photographs(records: Path) -> None:
    assert steps_of(planned(records)) == ["random_horizontal_flip", "random_crop_image"]
    result = planned(records, mirrors=False)
    assert steps_of(result) == ["random_crop_image"]
    assert any("left and right differ" in note for note in result.notes)
    chosen = planned(records, augmentations=("horizontal_flip", "rotate90"), mirrors=False)
    assert steps_of(chosen) == ["random_rotation90"]


# ---- input size and anchors ----------------------------------------------------------------------


def side_of(result: Configured) -> int:
    return int(result.config.model.ssd.image_resizer.fixed_shape_resizer.height)


def scale_of(result: Configured) -> float:
    return float(result.config.model.ssd.anchor_generator.multiscale_anchor_generator.anchor_scale)


def test_boxes_that_have_anchors_change_nothing(records: Path) -> None:
    result = planned(records)
    assert (side_of(result), scale_of(result)) == (192, 3)
    assert result.notes == []


def test_small_boxes_get_a_larger_input_and_that_is_reported(tmp_path: Path) -> None:
    """Boxes of 13 px at 192 px: an anchor of 24 px has an IoU of 0.31 with them, at 256 px 0.56."""
    records = written(tmp_path / "small", 20, sides=(0.5, 0.07, 0.07))
    result = planned(records)
    assert (side_of(result), scale_of(result)) == (256, 3)
    (note,) = result.notes
    assert "256 px instead of 192" in note
    assert "0% of the boxes have no anchor of IoU 0.5, instead of 67%" in note
    kept = planned(records, anchors="keep")
    assert (side_of(kept), scale_of(kept)) == (192, 3)
    assert "67% of the boxes" in kept.notes[0]
    sized = planned(records, input_size=(224, 224))
    assert (side_of(sized), scale_of(sized)) == (224, pytest.approx(2.25))


def test_the_smallest_boxes_get_a_larger_input_and_smaller_anchors(tmp_path: Path) -> None:
    result = planned(written(tmp_path / "small", 20, sides=(0.05,)))
    assert (side_of(result), scale_of(result)) == (320, pytest.approx(2.25))


def test_large_models_get_no_larger_input(tmp_path: Path) -> None:
    records = written(tmp_path / "small", 20, sides=(0.07,))
    assert side_of(planned(records, model="fpnlite")) == 320


def test_an_ssd_without_a_pyramid_gets_a_larger_input(tmp_path: Path) -> None:
    records = written(tmp_path / "small", 20, sides=(0.5, 0.074, 0.074))
    result = planned(records, model="ssd_mobilenet_v2")
    assert side_of(result) == 416


def test_an_ssd_without_a_pyramid_gets_smaller_anchors_if_its_input_is_chosen() -> None:
    config = start.base_config(catalog.find("ssd_mobilenet_v2"))
    generator = config.model.ssd.anchor_generator.ssd_anchor_generator
    generator.reduce_boxes_in_lowest_layer = False
    edges = np.array([[0.46, 0.46, 0.57, 0.57, 640, 640]])
    boxes = Boxes(edges, np.array([1]), {1: "cell"})
    (note,) = anchor_fit.fit(config, boxes, change=True, size=False, weights=False)
    assert "The smallest anchors are 0.13 of it, not 0.2: 0% of the boxes" in note
    changed = config.model.ssd.anchor_generator.ssd_anchor_generator
    assert changed.min_scale == pytest.approx(0.2 * 2 / 3)


def test_few_small_boxes_change_nothing(tmp_path: Path) -> None:
    records = written(tmp_path / "few", 20, sides=(0.5,) * 10 + (0.07,))
    assert planned(records).notes == []


def test_a_class_of_few_small_boxes_counts_by_itself(tmp_path: Path) -> None:
    records = written(tmp_path / "few", 20, sides=(0.5,) * 10 + (0.07,), small="platelet")
    result = planned(records)
    assert side_of(result) == 256
    assert any("100% of the boxes of platelet" in note for note in result.notes)


def test_pretrained_fpn_models_get_smaller_anchors(tmp_path: Path, weights: str) -> None:
    """Boxes of 22 px: an anchor of 32 px has an IoU of 0.49 with them, one of 24 px 0.87."""
    records = written(tmp_path / "small", 20, sides=(0.5, 0.5, 0.07), small="platelet")
    result = planned(records, model="fpnlite", checkpoint=weights)
    assert (side_of(result), scale_of(result)) == (320, 3)
    wanted = "The anchor scale is 3, not 4: 0% of the boxes have no anchor of IoU 0.5, instead of "
    assert any(wanted + "100% of the boxes of platelet" in note for note in result.notes)
    kept = planned(records, model="fpnlite", checkpoint=weights, anchors="keep")
    assert scale_of(kept) == 4
    assert any("100% of the boxes of platelet have no anchor" in note for note in kept.notes)


def test_boxes_that_no_anchors_fit_change_nothing(tmp_path: Path, weights: str) -> None:
    records = written(tmp_path / "small", 20, sides=(0.02,))
    result = planned(records, model="fpnlite", checkpoint=weights)
    assert (side_of(result), scale_of(result)) == (320, 4)
    assert any("100% of the boxes" in note for note in result.notes)


def test_models_whose_anchors_are_not_fitted_get_a_note(tmp_path: Path) -> None:
    records = written(tmp_path / "small", 20, sides=(0.02,))
    result = planned(records, model="faster_rcnn_resnet50", checkpoint="none")
    assert any("100% of the boxes have no anchor" in note for note in result.notes), result.notes


# ---- the records to measure on -------------------------------------------------------------------


def test_test_records_are_measured_under_their_name(records: Path) -> None:
    (records / shards.name("val", 0, 1)).rename(records / shards.name("test", 0, 1))
    result = planned(records)
    assert record_files.of_config(result.config).split == "test"

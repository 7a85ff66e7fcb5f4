"""Teachers: which are taken, what they see, and what they put into a batch."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_records import write_records
from tfod import ENVIRONMENT, small_model, tfod

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.engine import distillation, restore, runtime
from tfod_kit.engine import model as models
from tfod_kit.errors import TfodKitError, UsageError
from tfod_kit.io import resources
from tfod_kit.runs import run_folder
from tfod_kit.training import teacher
from tfod_kit.training.teacher import Teacher
from tfod_kit.training.teacher_options import NONE, TeacherOptions
from tfod_kit.training.teacher_outputs import pooled, same_anchors

PROGRAM = Path(__file__).resolve().parents[1] / "taught_steps.py"


def test_a_resumed_training_keeps_its_teacher() -> None:
    before = {"/runs/large": 0.5}
    assert TeacherOptions().settled(before) == TeacherOptions("/runs/large", 0.5)
    assert TeacherOptions(weight=2.0).settled(before) == TeacherOptions("/runs/large", 2.0)
    assert TeacherOptions("/other").settled(before) == TeacherOptions("/other", 0.5)
    assert TeacherOptions("/other").settled({}).record == {"/other": 1.0}
    assert TeacherOptions("run").settled({}).source == str(Path.cwd() / "run")
    ended = TeacherOptions(NONE).settled(before)
    assert not ended.used
    assert ended.record == {}
    assert TeacherOptions().settled({}) == ended


def test_a_weight_needs_a_teacher() -> None:
    with pytest.raises(UsageError, match="--teacher_weight 2"):
        TeacherOptions(weight=2.0).settled({})


def test_a_box_has_the_scores_of_all_its_classes() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.95], [0.5, 0, 1, 1]], np.float32)
    scores = np.array([[0.7, 0], [0, 0.2], [0.4, 0]], np.float32)
    assert pooled(boxes, scores).tolist() == pytest.approx(
        np.array([[0.7, 0.2], [0.7, 0.2], [0.4, 0]], np.float32)
    )


def base(name: str, **fields: object) -> Any:
    config = pipeline_config.load(resources.pipelines() / f"{name}.config")
    for field, value in fields.items():
        pipeline_config.set_field(config, field.replace("__", "."), value)
    return config


SIZE = "model__ssd__image_resizer__fixed_shape_resizer"
DEPTH = "model__ssd__feature_extractor__depth_multiplier"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (base("ssd_mobilenet_v2_cpu"), base("ssd_mobilenet_v2_cpu", **{DEPTH: "1.0"}), True),
        (base("ssd_mobilenet_v2_cpu"), base("ssd_mobilenet_v2"), False),
        (
            base("ssd_mobilenet_v2_fpnlite", **{f"{SIZE}__height": "640", f"{SIZE}__width": "640"}),
            base("ssd_resnet50_v1_fpn"),
            True,
        ),
        (base("ssd_mobilenet_v2_fpnlite"), base("ssd_resnet50_v1_fpn"), False),
        (base("efficientdet_d0"), base("efficientdet_d0"), True),
        (base("ssd_mobilenet_v2_cpu"), base("faster_rcnn_resnet50_v1"), False),
        (base("faster_rcnn_resnet50_v1"), base("faster_rcnn_resnet50_v1"), False),
    ],
)
def test_which_models_have_the_same_anchors(one: Any, other: Any, same: bool) -> None:
    assert same_anchors(one, other) == same


class Corner:
    """An output: the upper left quarter of each image is an object."""

    names = distillation.BOXES, distillation.SCORES
    shapes = (1, 4), (1, 2)
    padded = False

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def of(self, images: Any) -> Any:
        self.seen = [image.shape for image in images]
        boxes = np.tile(np.array([[0, 0, 0.5, 0.5]], np.float32), (len(images), 1, 1))
        return boxes, np.ones((len(images), 1, 2), np.float32)


@pytest.mark.slow
def test_a_teacher_sees_images_in_its_own_size_and_shape() -> None:
    tf = runtime.start()
    image = tf.constant(np.full((40, 80, 3), 300.0, np.float32))
    whole = Teacher(Corner(), (20, 30), distorts=True, weight=1.0)
    pixels, size = whole.image(image)
    assert pixels.shape == (20, 30, 3)
    assert (pixels.numpy() == 255).all()
    assert size.numpy().tolist() == [20, 30]
    kept = Teacher(Corner(), (50, 50), distorts=False, weight=1.0)
    pixels, size = kept.image(image)
    assert size.numpy().tolist() == [25, 50]
    assert (pixels.numpy()[25:] == 0).all()


@pytest.mark.slow
def test_its_boxes_become_fractions_of_the_padded_input() -> None:
    tf = runtime.start()
    output = Corner()
    taught = Teacher(output, (50, 50), distorts=False, weight=1.0)
    features = {
        "image": tf.zeros((2, 100, 100, 3)),
        "true_image_shape": tf.constant([[50, 100, 3], [100, 100, 3]]),
        "teacher_image": tf.zeros((2, 50, 50, 3), tf.uint8),
        "teacher_image_size": tf.constant([[25, 50], [50, 50]]),
    }
    changed = taught.detect(features)
    assert output.seen == [(25, 50, 3), (50, 50, 3)]
    assert set(changed) == {"image", "true_image_shape", *output.names}
    assert changed[distillation.BOXES].numpy().tolist() == [[[0, 0, 0.25, 0.5]], [[0, 0, 0.5, 0.5]]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student, and teachers that were not trained: of its anchors, and of another size."""
    folder = tmp_path_factory.mktemp("teachers")
    records = write_records(folder / "records", train=4)
    small_model(records, folder / "student", "--steps", 2)
    small_model(records, folder / "same", "--steps", 2)
    size = "model.ssd.image_resizer.fixed_shape_resizer"
    other = ("--set", f"{size}.height=128", "--set", f"{size}.width=160")
    small_model(records, folder / "other", "--steps", 2, *other)
    tf = runtime.start()
    for name in ("same", "other"):
        config = pipeline_config.load(folder / name)
        model = models.build(config, is_training=False)
        models.create_variables(model, 64)
        for path, variable in restore.named_variables(model):
            if "class" in path.lower() and path.endswith("/bias"):
                variable.assign(tf.zeros_like(variable))  # scores of about 0.5
        tf.train.Checkpoint(model=model).write(str(folder / name / "ckpt-1"))
    return folder


def loaded(runs: Path, source: Path, name: str = "student") -> Teacher | None:
    path = runs / name / "pipeline.config"
    return teacher.load(TeacherOptions(str(source), 1.0), pipeline_config.load(path), path)


@pytest.mark.slow
def test_a_teacher_with_the_same_anchors_predicts_at_each(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taught = loaded(runs, runs / "same")
    assert taught is not None
    printed = capsys.readouterr().out
    assert str(runs / "same" / "ckpt-1") in printed
    assert "at the anchors that both models have" in printed
    assert taught._output.names == (distillation.ANCHOR_BOXES, distillation.ANCHOR_SCORES)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 96, 96, 3)).astype(np.uint8)
    boxes, scores = taught._detect(pixels, [(96, 96), (96, 96)])
    model = taught._output._detector.model
    images, shapes = model.preprocess(runtime.start().constant(pixels, dtype="float32"))
    detections = model.postprocess(model.predict(images, shapes), shapes)
    assert np.allclose(boxes, detections["raw_detection_boxes"], atol=1e-4)
    assert np.allclose(scores, detections["raw_detection_scores"][..., 1:], atol=1e-4)


@pytest.mark.slow
def test_another_teacher_gives_its_detections(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taught = loaded(runs, runs / "other" / "ckpt-1")
    assert taught is not None
    assert "detections in images of 128 x 160 px" in capsys.readouterr().out
    assert taught._output.names == (distillation.BOXES, distillation.SCORES)


@pytest.mark.slow
def test_teachers_that_are_refused(runs: Path, tmp_path: Path) -> None:
    def refusal(source: Path, name: str = "student") -> str:
        with pytest.raises(TfodKitError) as caught:
            loaded(runs, source, name)
        return str(caught.value)

    assert "no such folder" in refusal(runs / "gone")
    assert "--teacher none" in refusal(tmp_path)
    assert "its own teacher" in refusal(runs / "same", "same")
    assert "its own teacher" in refusal(runs / "same" / "ckpt-1", "same")
    narrow = tmp_path / "narrow"
    narrow.mkdir()
    config = pipeline_config.load(runs / "other")
    del config.eval_input_reader[:]  # which names the label map of the records
    pipeline_config.save(config, narrow / "pipeline.config")
    labels.save(labels.from_names(["red", "green"]), narrow / "label_map.pbtxt")
    for path in (runs / "other").glob("ckpt-1.*"):
        (narrow / path.name).symlink_to(path)
    printed = refusal(narrow)
    assert "does not know 1 of the 2 classes" in printed
    assert "missing: blue" in printed


@pytest.mark.long
def test_steps_with_a_teacher(runs: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            str(PROGRAM),
            *(str(runs / name) for name in ("student", "same", "other")),
        ],
        env=ENVIRONMENT,
        text=True,
        capture_output=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["without"] == result["weight 0"], "the same losses, to the last bit"
    assert result["weights differ"] == []
    total, term = "Loss/total_loss", distillation.LOSS
    alone, taught = result["without"][0], result["weight 3"][0]
    assert term not in alone
    assert taught[term] > 0.1
    assert taught[total] == pytest.approx(alone[total] + taught[term], rel=1e-5)


@pytest.mark.long
def test_a_training_with_a_teacher_resumes_with_it(runs: Path) -> None:
    run = runs / "student"
    printed = tfod("train", run, "--teacher", runs / "other", "--no_evaluate", "--steps", 1)
    assert f"The teacher is {runs / 'other' / 'ckpt-1'}" in printed
    record = run_folder.read(run)
    assert record is not None
    assert record.starts[-1].teacher == {str(runs / "other"): 1.0}
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert any(distillation.LOSS in str(line) for line in history)
    printed = tfod("train", run, "--teacher_weight", 0.5, "--no_evaluate", "--steps", 2)
    assert f"The teacher is {runs / 'other' / 'ckpt-1'}" in printed
    assert "with weight 0.5" in printed
    printed = tfod("train", run, "--teacher", "none", "--no_evaluate", "--steps", 3)
    assert "The teacher" not in printed
    printed = tfod("train", run, "--teacher", run, "--no_evaluate", "--steps", 4, code=2)
    assert "its own teacher" in printed

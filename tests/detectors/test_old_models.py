"""Models that others left: the zoo's layout, a user's old run, and TensorFlow 1's."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tfod import tfod
from trained import Trained

from tfod_kit import detectors
from tfod_kit.core import labels
from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.boxes import iou
from tfod_kit.detectors import classes
from tfod_kit.errors import CheckpointError, ConfigError, UsageError
from tfod_kit.runs import checkpoints

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def zoo(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained model as an archive of the zoo holds one: no label map, and paths unset."""
    folder = tmp_path_factory.mktemp("zoo") / "ssd_small_128x128_tpu-8"
    shutil.copytree(trained.export, folder)
    (folder / "label_map.pbtxt").unlink()
    config = (folder / "pipeline.config").read_text()
    config = re.sub(r'(label_map_path|input_path): ".*"', r'\1: "PATH_TO_BE_CONFIGURED"', config)
    (folder / "pipeline.config").write_text(config)
    return folder


@pytest.fixture(scope="module")
def pictures(trained: Trained) -> list[np.ndarray]:
    """Sixteen, each of a size of its own."""
    paths = sorted((trained.data / "unseen").iterdir())[:16]
    return [
        np.asarray(Image.open(path).resize((180 + 17 * place, 150 + 11 * place)))
        for place, path in enumerate(paths)
    ]


@pytest.fixture(scope="module")
def restored(zoo: Path, trained: Trained) -> detectors.Detector:
    """The zoo's checkpoint, named as its users name it."""
    return detectors.load(zoo / "checkpoint", label_map=trained.records / "label_map.pbtxt")


Found = tuple[ObjectAnnotation, ...]


def assert_same(found: list[Found], expected: list[Found]) -> None:
    """Among nearly equal scores the order is left open, so only what is clear is compared."""
    assert sum(len(objects) for objects in expected) > 100
    for ours, theirs in zip(found, expected, strict=True):
        sure = [item for item in theirs if item.score > 0.2]
        for item in sure:
            assert any(
                item.label == other.label
                and other.score == pytest.approx(item.score, abs=1e-5)
                and iou(item.box, other.box) > 0.9999
                for other in ours
            ), item
        assert len([item for item in ours if item.score > 0.2]) == len(sure)


@slow
def test_pictures_of_mixed_sizes_are_found_in_as_upstream_finds(
    restored: detectors.Detector, zoo: Path, pictures: list[np.ndarray]
) -> None:
    """One batch of one shape, against upstream's exporter module, a picture at a time."""
    from object_detection import exporter_lib_v2

    from tfod_kit import pipeline_config
    from tfod_kit.engine import model, runtime

    tf = runtime.start()
    config = pipeline_config.load(zoo)
    built = model.build(config, is_training=False)
    tf.train.Checkpoint(model=built).restore(str(zoo / "checkpoint" / "ckpt-0")).expect_partial()
    upstream = exporter_lib_v2.DetectionFromFloatImageModule(built)
    expected = [
        detectors.as_objects(
            {
                name: value.numpy()[0]
                for name, value in upstream(tf.constant(picture[None], tf.float32)).items()
            },
            restored.label_map,
        )
        for picture in pictures
    ]
    assert_same(restored.detect(pictures), expected)


@slow
def test_one_graph_serves_all_sizes(
    restored: detectors.Detector, pictures: list[np.ndarray]
) -> None:
    prepared = [restored.prepare(picture) for picture in pictures]
    assert {item.pixels.shape for item in prepared} == {(128, 128, 3)}
    assert restored._batches(prepared) == [list(range(16))]


@slow
def test_the_zoos_saved_model_runs_as_it_is(
    zoo: Path, restored: detectors.Detector, pictures: list[np.ndarray], trained: Trained
) -> None:
    """Its uint8 input takes one picture of any size; class names are ids until they are given."""
    plain = detectors.load(zoo)
    assert plain.label_map is None
    assert {item.label for item in plain.detect(pictures[:1])[0]} <= set("1234")
    named = detectors.load(zoo, label_map=trained.records / "label_map.pbtxt")
    assert_same(named.detect(pictures), restored.detect(pictures))


@slow
def test_a_run_whose_label_map_is_gone(zoo: Path, trained: Trained, tmp_path: Path) -> None:
    """As a user's old folder: checkpoints and config, made on another machine."""
    run = shutil.copytree(trained.run, tmp_path / "run")
    (run / "label_map.pbtxt").unlink(missing_ok=True)
    config = (run / "pipeline.config").read_text()
    (run / "pipeline.config").write_text(re.sub(r'"/.*/', '"/content/drive/gone/', config))
    loaded = detectors.load(run)
    assert loaded.label_map is None
    assert loaded.step == 402
    shutil.copy(trained.records / "label_map.pbtxt", run)
    from tfod_kit import pipeline_config

    found = classes.of_config(None, pipeline_config.load(run), run)
    assert found is not None
    assert "circle" in found


ZOO_CONFIG = """
model {{ ssd {{ num_classes: {classes} }} }}
train_input_reader {{ label_map_path: "{path}" }}
eval_input_reader {{ label_map_path: "{path}" }}
"""


@pytest.mark.parametrize(
    ("number", "path", "named"),
    [
        pytest.param(90, "PATH_TO_BE_CONFIGURED", True, id="as the zoo has them"),
        pytest.param(90, "/home/me/data/mscoco_label_map.pbtxt", True, id="COCO's, moved"),
        pytest.param(90, "/home/me/data/my_label_map.pbtxt", False, id="somebody's own"),
        pytest.param(4, "PATH_TO_BE_CONFIGURED", False, id="of other classes"),
    ],
)
def test_the_zoos_models_have_cocos_classes(
    tmp_path: Path, number: int, path: str, named: bool
) -> None:
    (tmp_path / "pipeline.config").write_text(ZOO_CONFIG.format(classes=number, path=path))
    found = classes.of_folder(None, tmp_path)
    assert (found is not None) == named
    if found is not None:
        assert found.names[90] == "toothbrush"


@pytest.mark.parametrize("number", [3, 90])
def test_a_label_map_of_another_size_is_refused(tmp_path: Path, number: int) -> None:
    config = ZOO_CONFIG.format(classes=number, path="gone")
    (tmp_path / "pipeline.config").write_text(config)
    given = tmp_path / "given.pbtxt"
    labels.save(labels.from_names("abcd"), given)
    with pytest.raises(ConfigError, match=f"ids up to {number}, the model's"):
        classes.of_folder(given, tmp_path)


def test_a_frozen_graph_of_tensorflow_1_is_named(tmp_path: Path) -> None:
    (tmp_path / "frozen_inference_graph.pb").touch()
    for path in (tmp_path, tmp_path / "frozen_inference_graph.pb"):
        with pytest.raises(UsageError, match="frozen graph of TensorFlow 1"):
            detectors.load(path)


@slow
def test_what_tensorflow_1_saved(tmp_path: Path) -> None:
    """Its SavedModels run; its checkpoints are named for what they are."""
    from tfod_kit.engine import runtime

    v1 = runtime.start().compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(v1.uint8, [None, None, None, 3], "image_tensor")
        score = v1.get_variable("score", initializer=[[0.75]])
        batch = v1.shape(image)[0]
        outputs = {
            "detection_boxes": v1.tile(v1.constant([[[0.1, 0.2, 0.5, 0.6]]]), [batch, 1, 1]),
            "detection_scores": v1.tile(score, [batch, 1]),
            "detection_classes": v1.ones([batch, 1]),
            "num_detections": v1.ones([batch]),
        }
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(tmp_path / "run" / "model.ckpt"))
        v1.saved_model.simple_save(
            session, str(tmp_path / "export" / "saved_model"), {"inputs": image}, outputs
        )
    found = detectors.load(tmp_path / "export").detect([np.zeros((20, 30, 3), np.uint8)] * 2)
    assert [[(item.label, item.score) for item in objects] for objects in found] == [
        [("1", 0.75)]
    ] * 2
    (tmp_path / "run" / "pipeline.config").write_text("model { ssd { } }")
    with pytest.raises(CheckpointError, match="checkpoint of TensorFlow 1"):
        detectors.load(tmp_path / "run")


@slow
def test_a_checkpoint_that_was_written_and_not_saved(trained: Trained, tmp_path: Path) -> None:
    """`tf.train.Checkpoint.write` stores no counter of saves, which no detector needs."""
    from tfod_kit import pipeline_config
    from tfod_kit.detectors.checkpoint import LiveDetector
    from tfod_kit.engine import model as models
    from tfod_kit.engine import restore, runtime

    tf = runtime.start()
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(trained.run / "pipeline.config", run)
    config = pipeline_config.load(run / "pipeline.config")
    model = models.build(config, is_training=False)
    with restore.matched(model, checkpoints.choose(trained.run, None)):
        original = LiveDetector(model, config, run)
    tf.train.Checkpoint(model=model).write(str(run / "ckpt-5"))
    picture = np.asarray(Image.open(next((trained.data / "unseen").iterdir())).convert("RGB"))
    # Several threads add up in any order, so scores differ in their last digits.
    (found,), (wanted,) = (
        model.detect([picture], min_score=0.1) for model in (detectors.load(run), original)
    )
    assert [item.label for item in found] == [item.label for item in wanted]
    assert found
    for item, other in zip(found, wanted, strict=True):
        assert item.score == pytest.approx(other.score, abs=1e-3)
        assert iou(item.box, other.box) > 0.99
    assert tfod("export", run, "--out", tmp_path / "export", "--records", trained.records)

"""From drawn images to detections, with the commands of the README, on a short training."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tfod import ENVIRONMENT, small_model, tfod
from trained import STEPS, Trained

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.boxes import iou
from tfod_kit.errors import CheckpointError

pytestmark = pytest.mark.slow


def test_training_counts_exactly_and_shows_the_first_step(trained: Trained) -> None:
    assert "Starting from the weights in" in trained.printed["train"]
    assert f"training: {STEPS}/{STEPS} steps" in trained.printed["train"]
    assert (trained.run / f"ckpt-{STEPS}.index").is_file()
    assert "loss" in trained.printed["train"]


def test_training_prints_nothing_but_its_own_lines(trained: Trained) -> None:
    """No TensorFlow log and no deprecation warning: newcomers would think that they caused it."""
    noise = [
        line
        for line in trained.printed["train"].splitlines()
        if any(word in line for word in ("Warning", "WARNING", "tensorflow/", "cuda", "oneDNN"))
    ]
    assert noise == []


def test_resuming_reports_the_checkpoint_and_trains_the_rest(trained: Trained) -> None:
    assert f"Resuming at step {STEPS} from {trained.run}/ckpt-{STEPS}" in trained.printed["resume"]
    assert f"Finished at step {STEPS + 2}: 2 steps" in trained.printed["resume"]
    assert (trained.run / f"ckpt-{STEPS + 2}.index").is_file()


def test_a_finished_run_has_nothing_to_do(trained: Trained) -> None:
    assert f"Nothing to do: the run is at step {STEPS + 2}" in trained.printed["again"]


@pytest.mark.parametrize("ending", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint_is_skipped_for_the_one_before(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    from tfod_kit.runs import checkpoints
    from tfod_kit.training.train import newest_whole

    run = shutil.copytree(trained.run, tmp_path / "run")
    assert newest_whole(run) == run / f"ckpt-{STEPS + 2}"
    file = run / f"ckpt-{STEPS + 2}.{ending}"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert newest_whole(run) == run / f"ckpt-{STEPS}"
    assert f"ckpt-{STEPS + 2} is damaged and skipped" in capsys.readouterr().out
    for prefix in checkpoints.available(run):
        Path(f"{prefix}.{ending}").write_bytes(b"")
    with pytest.raises(CheckpointError, match="Every checkpoint"):
        newest_whole(run)


def test_checkpoints_have_upstreams_layout(trained: Trained) -> None:
    import tensorflow as tf

    names = [name for name, _ in tf.train.list_variables(str(trained.run / f"ckpt-{STEPS}"))]
    assert "step/.ATTRIBUTES/VARIABLE_VALUE" in names
    assert {name.split("/")[0] for name in names} >= {"step", "model", "optimizer", "save_counter"}


def test_evaluation_writes_its_figures(trained: Trained) -> None:
    figures = json.loads((trained.run / "eval" / f"test-{STEPS + 2}.json").read_text())
    assert figures["step"] == STEPS + 2
    assert figures["images"] == len(list((trained.data / "unseen").iterdir()))
    truth = json.loads((trained.data / "annotations" / "instances_test.json").read_text())
    boxes = sum(row["ground_truth"] for row in figures["classes"].values())
    assert boxes == len(truth["annotations"])
    # Seen: 0.39. An untrained model has 0.00.
    assert 0.2 < figures["metrics"]["DetectionBoxes_Precision/mAP@.50IOU"] < 1


def test_tensorboard_has_curves_and_images(trained: Trained) -> None:
    train, evaluated = tags(trained.run / "train"), tags(trained.run / "eval" / "test")
    assert {"Loss/total_loss", "learning_rate", "training_input/0"} <= train
    with Image.open(trained.run / "augmented.jpg") as sheet:
        assert sheet.width > sheet.height / 2 > 100
    assert {"DetectionBoxes_Precision/mAP", "ground_truth_and_detections/0"} <= evaluated


def tags(folder: Path) -> set[str]:
    """The names of the curves and images in a TensorBoard folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return set(accumulator.Tags()["tensors"])


PLAIN = """
import sys
import numpy as np, tensorflow as tf
detect = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
found = detect(input_tensor=tf.constant(np.load(sys.argv[2])[None]))
assert not [name for name in sys.modules if name.startswith(("tfod_kit.", "object_detection"))]
np.savez(sys.argv[3], **{name: value[0].numpy() for name, value in found.items()})
"""


def test_the_export_detects_the_same_without_tfod_kit(trained: Trained, tmp_path: Path) -> None:
    from tfod_kit import detectors

    image = np.asarray(Image.open(next((trained.data / "unseen").iterdir())).convert("RGB"))
    np.save(tmp_path / "image.npy", image)
    paths = [trained.export / "saved_model", tmp_path / "image.npy", tmp_path / "found.npz"]
    subprocess.run(
        [sys.executable, "-c", PLAIN, *map(str, paths)],
        check=True,
        cwd=tmp_path,
        env=ENVIRONMENT,
        timeout=300,
    )
    model = detectors.load(trained.run)
    (inside,) = model.detect([image])
    outside = detectors.as_objects(np.load(tmp_path / "found.npz"), model.label_map)
    assert len(inside) == len(outside) > 0
    scores = [[item.score for item in found] for found in (inside, outside)]
    assert scores[0] == pytest.approx(scores[1], abs=TOLERANCE)
    # The order of equal scores, and which of them are the last to be kept, may differ.
    for one in inside:
        if one.score > scores[0][-1] + TOLERANCE:
            assert any(same(one, other) for other in outside), one


TOLERANCE = 1e-5


def same(one: ObjectAnnotation, other: ObjectAnnotation) -> bool:
    return (
        one.label == other.label
        and one.score == pytest.approx(other.score, abs=TOLERANCE)
        and iou(one.box, other.box) > 0.999
    )


def test_predict_draws_and_lists_from_the_export(trained: Trained, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("not an image")
    out = tmp_path / "out"
    printed = tfod(
        *("predict", trained.export, trained.data / "unseen", bad, "--out", out, "--min_score", 0),
        code=0,
    )
    assert "bad.jpg" in printed
    names = {path.name for path in (trained.data / "unseen").iterdir()}
    assert {path.name for path in out.glob("*.jpg")} == names
    document = json.loads((out / "detections.json").read_text())
    assert len(document["images"]) == len(names)
    assert {"circle", "square", "star", "triangle"} >= {
        found["label"] for image in document["images"] for found in image["detections"]
    }
    assert [row["file"] for row in document["unreadable"]] == [str(bad)]


def test_tensorboard_serves_the_run(trained: Trained) -> None:
    """`make tensorboard` starts the real thing; its packages have failed to import before."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(trained.run)]
    with subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            runs = wait_for_json(f"http://127.0.0.1:{port}/data/runs", server)
        finally:
            server.terminate()
    assert {"train", "eval/val", "eval/test"} <= set(runs)


def wait_for_json(address: str, server: subprocess.Popen[bytes]) -> list[str]:
    """The answer of the server once it has read all three runs."""
    for _ in range(120):
        assert server.poll() is None, "TensorBoard has ended"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if len(runs := json.load(answer)) >= 3:
                    return runs
        except OSError:
            pass
        time.sleep(0.5)
    raise AssertionError("TensorBoard did not start within a minute")


@pytest.mark.parametrize("input_type", ["float_image_tensor", "encoded_image_string_tensor"])
def test_other_input_types_load_and_detect(
    trained: Trained, tmp_path: Path, input_type: str
) -> None:
    from tfod_kit import detectors

    out = tmp_path / "export"
    tfod("export", trained.run, "--out", out, "--input_type", input_type)
    options = ("--out", tmp_path / "drawn", "--min_score", 0.3)
    tfod("predict", out, trained.data / "unseen", *options)
    document = json.loads((tmp_path / "drawn" / "detections.json").read_text())
    predicted = {image["file"]: len(image["detections"]) for image in document["images"]}
    assert sum(predicted.values()) >= 10, "detections that score 0.3 or more"
    paths = sorted((trained.data / "unseen").iterdir())[:4]
    pixels = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    expected = detectors.load(trained.run).detect(pixels, min_score=0.3)
    actual = detectors.load(out).detect(pixels, min_score=0.3)
    assert [len(objects) for objects in actual] == [len(objects) for objects in expected]
    for theirs, ours in zip(expected, actual, strict=True):
        for one in theirs:
            assert any(same(one, other) for other in ours), one


def test_a_trained_run_is_a_start_for_another_data_set(trained: Trained, tmp_path: Path) -> None:
    """Fine-tuning restores the backbone, reports it, and initialises the heads; here with averages
    of the weights, which upstream's optimiser keeps beside them."""
    averages = ("--set", "train_config.optimizer.use_moving_average=true")
    start = ("--steps", 1, "--checkpoint", trained.run, *averages)
    assert "starts from:   " in small_model(trained.records, tmp_path / "run", *start)
    printed = tfod("train", tmp_path / "run", "--no_evaluate", "--restore", "backbone")
    assert f"Starting from the weights in {trained.run}/ckpt-{STEPS + 2} (detection)" in printed
    assert "_feature_extractor" in printed
    assert "start from initial values" in printed
    import tensorflow as tf

    names = [name for name, _ in tf.train.list_variables(str(tmp_path / "run" / "ckpt-1"))]
    assert any("average" in name for name in names)

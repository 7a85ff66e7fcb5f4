"""`tfod report` and `tfod plot` on a run as training and evaluation leave it."""

import dataclasses
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image
from tfod import tfod

from tfod_kit import reports
from tfod_kit.errors import DataError
from tfod_kit.records import shards
from tfod_kit.reports import page
from tfod_kit.reports.charts import CHARTS
from tfod_kit.runs import best_checkpoint, results, run_folder, training_history

CONFIG = """
model { ssd { num_classes: 2 } }
train_input_reader { tf_record_input_reader { input_path: "%s/train-?????-of-00001.tfrecord" } }
"""
REPORT = """{"splits": {"train": {"images": 40, "negatives": 1, "objects": 90,
"classes": {"cat": 60, "<dog>": 30}}},
"findings": {"clipped": {"text": "boxes cut", "count": 3}}}"""


def curves(height: float) -> results.Curves:
    steps = tuple(place / 10 for place in range(11))
    fall = tuple(height * (1 - step) for step in steps)
    return results.Curves(steps, fall, steps, steps, fall, fall, fall)


def measured(split: str, step: int) -> results.Results:
    best_point = results.OperatingPoint(0.4, 0.8, 0.7, 0.746)
    return results.Results(
        metrics={"DetectionBoxes_Precision/mAP": 0.5, "DetectionBoxes_Precision/mAP (large)": -1.0},
        classes={
            "cat": results.ClassMetrics(9, ap=0.6, ap50=0.9, best=best_point, curves=curves(1)),
            "<dog>": results.ClassMetrics(0, curves=results.Curves()),
        },
        images=5,
        detections=50,
        best=best_point,
        curves=curves(0.9),
        calibration=results.Calibration(
            0.08,
            (
                results.CalibrationBin(0, 0.5, 10, 0.3, 0.2),
                results.CalibrationBin(0.5, 1, 4, 0.7, 0.8),
            ),
            0.05,
        ),
        errors={"missed": results.ErrorType(4, 0.12), "background": results.ErrorType(2, 0.03)},
        confusion=results.Confusion(0.4, {"cat": {"cat": 7, "<dog>": 2, results.BACKGROUND: 1}}),
        worst=(
            results.ImageErrors("a", "a.jpg", 2, 1, 3, "worst/a.jpg"),
            results.ImageErrors("b", "b.jpg", 1, 1, 3, "../../secret.jpg"),
        ),
        samples=(results.ImageErrors("c", "c.jpg", 0, 0, 4, "worst/c.jpg"),),
        not_measured=("No object is large.",),
        model="run/ckpt-40",
        step=step,
        split=split,
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "eval" / "worst").mkdir(parents=True)
    Image.new("RGB", (40, 30), "red").save(folder / "eval" / "worst" / "a.jpg")
    Image.new("RGB", (40, 30), "green").save(folder / "eval" / "worst" / "c.jpg")
    Image.new("RGB", (40, 30), "blue").save(tmp_path / "secret.jpg")
    (tmp_path / "report.json").write_text(REPORT)
    (folder / "pipeline.config").write_text(CONFIG % tmp_path)
    for step in range(1, 41):
        losses = {"Loss/total_loss": 40 / step, "Loss/localization_loss": 10 / step}
        training_history.append(
            folder, training_history.TrainPoint(step, losses, 0.01 / step, 3.0, 2)
        )
    for step in (20, 40):
        metrics = {"DetectionBoxes_Precision/mAP": step / 80}
        training_history.append(folder, training_history.EvalPoint(step, "val", metrics))
        results.save(measured("val", step), results.path(folder / "eval", "val", step))
    results.save(measured("test", 40), results.path(folder / "eval", "test", 40))
    from tfod_kit import pipeline_config

    run_folder.record_start(
        folder, pipeline_config.load(folder / "pipeline.config"), step=0, seed=7
    )
    run_folder.record_end(folder, run_folder.FINISHED, 40)
    return folder


def test_the_page_tells_everything_and_needs_nothing(run: Path) -> None:
    assert "Open " in tfod("report", run)
    text = (run / "report.html").read_text("utf-8")
    for told in (
        *("Training", "Evaluation", "What goes wrong", "Data set", "Environment"),
        *("val, step 40", "test, step 40", "0.500", "n/a", "No object is large."),
        *("12.0", "an object without any detection", "a.jpg: 3 found, 2 missed, 1 false"),
        *("Detections, right and wrong", "c.jpg: 4 found, 0 missed, 0 false"),
        *("90", "boxes cut", "tensorflow", "finished", "bad records skipped"),
        "num_classes: 2",
    ):
        assert told in text, told
    assert "val, step 20" not in text  # the newest of a split counts
    assert text.count("<svg") == len(CHARTS) + 1  # and the data set's
    assert "&lt;dog&gt;" in text
    assert "<dog>" not in text
    assert "http" not in text.replace("http://www.w3.org/", "")
    assert "<script" not in text


def test_a_document_cannot_bring_in_an_image_from_outside(run: Path) -> None:
    assert (run / "eval" / "../../secret.jpg").is_file()
    text = page.html(reports.read(run))
    assert "a.jpg: 3 found" in text
    assert "b.jpg" not in text


def test_images_of_another_split_are_shown_where_the_first_has_none(run: Path) -> None:
    file = results.path(run / "eval", "val", 40)
    results.save(dataclasses.replace(results.load(file), worst=(), samples=()), file)
    text = page.html(reports.read(run))
    assert "Detections, right and wrong (test, step 40)" in text
    for split in ("val", "test"):
        file = results.path(run / "eval", split, 40)
        results.save(dataclasses.replace(results.load(file), worst=(), samples=()), file)
    assert f"tfod evaluate {run}" in page.html(reports.read(run))


def test_every_chart_is_drawn_of_one_run(run: Path, tmp_path: Path) -> None:
    printed = tfod("plot", run)
    for name in CHARTS:
        assert f"plots/{name}.png" in printed
        with Image.open(run / "plots" / f"{name}.png") as image:
            assert image.width > 600
    tfod("plot", run, "--what", "loss,pr", "--svg", "--out", tmp_path / "svg")
    assert {path.name for path in (tmp_path / "svg").iterdir()} == {"loss.svg", "pr.svg"}
    text = (tmp_path / "svg" / "loss.svg").read_text("utf-8")
    ET.fromstring(text)
    assert "localization_loss" in text


def test_several_runs_stand_in_one_figure(run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "elsewhere" / "run")
    out = tmp_path / "both.svg"
    tfod("plot", run, other, "--what", "map", "--out", out)
    text = out.read_text("utf-8")
    assert "elsewhere/run (val)" in text  # as much of the path as tells them apart
    printed = tfod("plot", run, other, "--out", tmp_path / "all")
    assert "confusion" not in printed
    assert len(list((tmp_path / "all").iterdir())) == len(CHARTS) - 1
    assert "shows only one run" in tfod("plot", run, other, "--what", "confusion", code=2)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("report", "nowhere"), "no such run folder"),
        (("report", "."), "nothing to show"),
        (("plot", ".", "--what", "los"), "loss"),
        (("plot", ".", "--what", ","), "No chart"),
    ],
)
def test_mistakes_are_messages(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    assert told in tfod(*arguments, cwd=tmp_path, code=2)


def test_several_charts_do_not_go_into_one_file(run: Path) -> None:
    printed = tfod("plot", run, "--what", "loss,map", "--out", run / "x.png", code=2)
    assert "one file" in printed


def test_a_damaged_evaluation_is_named(run: Path) -> None:
    file = results.path(run / "eval", "val", 40)
    file.write_text(file.read_text()[:100])
    with pytest.raises(DataError, match=r"val-40\.json"):
        reports.read(run)


def test_a_run_under_way_has_a_page(tmp_path: Path) -> None:
    """No evaluation yet, one point, no config: what there is is shown."""
    training_history.append(
        tmp_path, training_history.TrainPoint(1, {"Loss/total_loss": 0.0}, 0.01)
    )
    text = page.html(reports.read(tmp_path))
    assert "Not measured yet" in text
    assert "last loss" in text


def test_runs_that_upstream_trained_show_their_curves(tmp_path: Path) -> None:
    """TensorBoard's files, with a torn end as a killed run leaves it."""
    from tensorboard.compat.proto.event_pb2 import Event

    events = []
    for step in (100, 200):
        event = Event(step=step, wall_time=1.0)
        event.summary.value.add(tag="learning_rate").tensor.float_val.append(0.5)
        loss = event.summary.value.add(tag="Loss/total_loss").tensor
        loss.tensor_content = {100: b"\x00\x00\x80?", 200: b"\x00\x00\x00?"}[step]
        events.append(event.SerializeToString())
    (tmp_path / "train").mkdir()
    path = tmp_path / "train" / "events.out.tfevents.1.host"
    shards.write(path, [*events, b"more"])
    path.write_bytes(path.read_bytes()[:-3])
    results.save(measured("val", 200), results.path(tmp_path / "eval", "val", 200))
    found = reports.read(tmp_path).history
    assert [(p.step, p.split) for p in found.evals] == [(200, "val")]
    points = found.train
    assert [(p.step, p.losses["Loss/total_loss"], p.learning_rate) for p in points] == [
        (100, 1.0, 0.5),
        (200, 0.5, 0.5),
    ]


def test_masks_and_keypoints_have_their_figures(run: Path) -> None:
    file = results.path(run / "eval", "val", 40)
    boxes = results.load(file)
    metrics = {
        "DetectionMasks_Precision/mAP@.50IOU": 0.412,
        "Keypoints_Precision/mAP": 0.287,
        "Keypoints_Precision/mAP ByCategory/cat": 0.299,
    }
    cat = dataclasses.replace(boxes.classes["cat"], mask_ap50=0.444, keypoint_ap=0.299)
    found = {"metrics": {**boxes.metrics, **metrics}, "classes": {**boxes.classes, "cat": cat}}
    results.save(dataclasses.replace(boxes, **found), file)
    training_history.append(run, training_history.EvalPoint(40, "val", metrics))
    text = page.html(reports.read(run))
    for told in ("masks mAP@.50IOU", "keypoints mAP", "0.412", "0.287", "mask AP@.50", "0.444"):
        assert f">{told}</" in text, told
    assert "keypoints mAP (val)" in text, "the curve"
    assert "ByCategory" not in text
    assert ">keypoint AP</th>" in text
    assert ">mask AP</th>" not in text, "measured of no class"


def test_the_best_checkpoint_stands_at_the_top(run: Path) -> None:
    (run / "best").mkdir()
    document = '{"metric": "DetectionBoxes_Precision/mAP", "value": 0.61, "step": 20, '
    (run / "best" / best_checkpoint.FILE_NAME).write_text(document + '"checkpoint": "ckpt-20"}')
    assert "best mAP in training, step 20" in page.html(reports.read(run))


BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome to open the page in")
def test_a_browser_shows_the_page(run: Path, tmp_path: Path) -> None:
    tfod("report", run, "--out", tmp_path / "page.html")
    shot = tmp_path / "shot.png"
    command = [
        *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,4200"),
        *(f"--screenshot={shot}", (tmp_path / "page.html").as_uri()),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(shot) as image:
        assert image.size[0] == 1200
        colours = image.convert("RGB").getcolors(1 << 24) or []
    # A chart's first two colours, and the drawn picture's red, are on the screen.
    seen = {colour for _, colour in colours}
    assert (0, 0x72, 0xB2) in seen
    assert (0xE6, 0x9F, 0) in seen
    assert any(red > 240 and green < 20 and blue < 20 for red, green, blue in seen)

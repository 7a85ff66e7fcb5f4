"""The targets tfjs and serving: one export of both, run in a real browser and in TensorFlow."""

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tfod import tfod
from trained import Trained

from tfod_kit import detectors
from tfod_kit.core import labels
from tfod_kit.errors import CheckpointError, SetupError
from tfod_kit.exports import browser, serving, tfjs_parts
from tfod_kit.records import shards

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of both exports, and the output of the command.

    Skipped only without a browser, which no Python package can install.
    """
    try:
        browser.find()
    except SetupError as error:
        pytest.skip(str(error))
    out = tmp_path_factory.mktemp("exports")
    return out, tfod("export", trained.run, "--target", "serving,tfjs", "--out", out)


@slow
@pytest.mark.parametrize("target", ["serving", "tfjs"])
def test_parity_is_proved(exported: tuple[Path, str], target: str) -> None:
    out, printed = exported
    parity = json.loads((out / target / "parity.json").read_text("utf-8"))
    assert parity["holds"]
    assert parity["compared"] > 20
    assert parity["unmatched"] == 0
    assert parity["lowest_iou"] > 0.999
    assert parity["largest_score_difference"] < 1e-4
    assert printed.count("parity: 16 images") == 2


@slow
def test_the_screenshot_shows_boxes(exported: tuple[Path, str]) -> None:
    """Boxes and names are drawn in the colours that the page lists for the classes."""
    folder = exported[0] / "tfjs"
    shown = np.asarray(Image.open(folder / "screenshot.png").convert("RGB")).reshape(-1, 3)
    classes = json.loads((folder / "labels.json").read_text("utf-8"))["classes"]
    counts = [int((shown == entry["colour"]).all(axis=1).sum()) for entry in classes.values()]
    assert max(counts) > 300, "pixels of a class's colour"


@slow
def test_the_page_needs_no_network(exported: tuple[Path, str]) -> None:
    folder = exported[0] / "tfjs"
    for name in ("index.html", "page.js", "detect.js", "masks.js", "page.css"):
        text = (folder / name).read_text("utf-8")
        assert "//" not in re.sub(r"(^|\s)//[^\n]*", "", text), f"an address in {name}"
    (html,) = folder.glob("*.html")
    for source in re.findall(r'(?:src|href)="([^":]+)"', html.read_text("utf-8")):
        assert (folder / source).is_file(), source
    assert "Apache License 2.0" in (folder / "tf" / "NOTICE").read_text("utf-8")


@slow
def test_a_failing_page_reports_why(exported: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(exported[0] / "tfjs", folder)
    (folder / "web_model" / "model.json").unlink()
    label_map = labels.load(folder / "label_map.pbtxt")
    with (
        browser.Browser(folder, label_map, screenshot=tmp_path / "page.png") as page,
        pytest.raises(CheckpointError, match="404"),
    ):
        page.detect([np.zeros((32, 32, 3), np.uint8)])


@pytest.fixture(scope="module")
def loaded(exported: tuple[Path, str]) -> Any:
    import tensorflow as tf

    return tf.saved_model.load(str(exported[0] / "serving" / serving.VERSION))


@slow
def test_both_signatures_detect_the_same(loaded: Any, trained: Trained) -> None:
    import tensorflow as tf

    paths = sorted((trained.data / "unseen").glob("*.jpg"))[:2]
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    pngs = [_png(image) for image in pixels]
    found = loaded.signatures[serving.IMAGES](image=tf.constant(pixels))
    again = loaded.signatures[serving.ENCODED](image_bytes=tf.constant(pngs))
    assert set(found) == {
        "detection_boxes",
        "detection_classes",
        "detection_scores",
        "num_detections",
    }
    assert found["detection_boxes"].shape == (2, 100, 4)
    assert float(found["detection_scores"][0, 0]) > 0.3
    for name, value in found.items():
        np.testing.assert_allclose(value.numpy(), again[name].numpy(), atol=1e-5)


@slow
def test_encoded_images_are_seen_as_they_are_stored(loaded: Any, trained: Trained) -> None:
    """As docs/serving.md states: TensorFlow's decoder ignores the EXIF orientation."""
    import tensorflow as tf

    path = min((trained.data / "unseen").glob("*.jpg"))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.open(path).convert("RGB").save(stream, "JPEG", quality=95, exif=exif)
    plain = io.BytesIO()
    Image.open(path).convert("RGB").save(plain, "JPEG", quality=95)
    found, expected = (
        loaded.signatures[serving.ENCODED](image_bytes=tf.constant([data.getvalue()]))
        for data in (stream, plain)
    )
    for name, value in found.items():
        np.testing.assert_allclose(value.numpy(), expected[name].numpy(), atol=1e-5)


@slow
def test_the_warm_up_requests_can_be_answered(loaded: Any, exported: tuple[Path, str]) -> None:
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    path = exported[0] / "serving" / serving.VERSION / serving.WARM_UP
    logs = [prediction_log_pb2.PredictionLog.FromString(data) for data in shards.read(path)]
    requests = [log.predict_log.request for log in logs]
    names = [request.model_spec.signature_name for request in requests]
    assert names == [serving.IMAGES, serving.ENCODED] * 3
    for request, name in zip(requests, names, strict=True):
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        found = loaded.signatures[name](**inputs)
        assert found["detection_boxes"].shape == (1, 100, 4)


def test_the_highest_version_is_the_one_that_is_served(tmp_path: Path) -> None:
    for version in ("1", "9", "10"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "saved_model.pb").touch()
    assert detectors.runtime_of(tmp_path) == ("saved_model", tmp_path / "10")


def test_a_missing_browser_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(browser.ENVIRONMENT, "/absent/chromium")
    with pytest.raises(SetupError, match="/absent/chromium"):
        browser.find()


def test_a_missing_network_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TFOD_CACHE", str(tmp_path))
    monkeypatch.setenv("TFOD_OFFLINE", "1")
    with pytest.raises(SetupError, match=tfjs_parts.ARCHIVES):
        tfjs_parts.library()
    with pytest.raises(SetupError, match="pip install --no-deps tensorflowjs"):
        tfjs_parts.converter()


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), (b"x", "SHA-512")])
def test_local_archives_are_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, message: str
) -> None:
    monkeypatch.setenv("TFOD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(tfjs_parts.ARCHIVES, str(tmp_path))
    archive = tmp_path / "tfjs-4.22.0.tgz"
    if content is not None:
        archive.write_bytes(content)
    with pytest.raises(SetupError, match=message):
        tfjs_parts.library()
    assert archive.exists() == (content is not None), "the user's file is kept"


def _png(image: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()

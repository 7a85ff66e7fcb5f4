"""Masks and keypoints in the browser: drawn and posted as Python draws them."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_mask_rcnn import small_mask_rcnn
from small_records import write_records
from tfod import tfod

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.core.annotations import Keypoint
from tfod_kit.core.boxes import Box
from tfod_kit.core.labels import from_names
from tfod_kit.detectors.objects import as_objects, in_image
from tfod_kit.engine import model as models
from tfod_kit.engine import runtime
from tfod_kit.errors import SetupError
from tfod_kit.exports import browser, graph, parity, tfjs
from tfod_kit.exports.tolerance import Tolerance

# The browser ends once the page has loaded, which the image withholds.
PAGE = """<!doctype html><img src="driven/end.svg" alt=""><script type="module">
import { runLengths, stretched } from "./masks.js";
const cases = await (await fetch("cases.json")).json();
for (;;) {
  const next = await fetch("driven/next");
  if (next.status === 410) break;
  if (next.status !== 200) continue;
  const picture = await createImageBitmap(await next.blob());
  const { width, height } = picture;
  const objects = cases.map(({ mask, ...item }) => (
    { ...item, mask: runLengths(stretched(mask, item.box, height, width), height, width) }
  ));
  await fetch("driven/found", { method: "POST", body: JSON.stringify({ backend: "", objects }) });
}
</script>"""


@pytest.fixture(autouse=True)
def _needs_a_browser() -> None:
    try:
        browser.find()
    except SetupError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_the_page_stretches_masks_as_python_does(tmp_path: Path) -> None:
    dice = np.random.default_rng(5)
    boxes = [(0.0, 0.0, 1.0, 1.0), (0.2, 0.3, 0.2, 0.6), (-0.3, 0.5, 0.4, 1.4)]
    for _ in range(40):
        ymin, xmin = dice.uniform(-0.1, 0.9, 2)
        height, width = dice.uniform(0.0, 0.7, 2)
        boxes.append((ymin, xmin, ymin + height, xmin + width))
    masks = [dice.uniform(0, 1, (5, 7)).round(3) for _ in boxes]
    points = [{"y": 0.25, "x": 0.5, "score": score} for score in (0.9, 0.1, 0.0)]
    cases = [
        {
            "label": "cat",
            "score": 0.5,
            "box": list(map(float, box)),
            "keypoints": points,
            "mask": {"rows": 5, "columns": 7, "values": mask.ravel().tolist()},
        }
        for box, mask in zip(boxes, masks, strict=True)
    ]
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    shutil.copy(tfjs.PAGE / "masks.js", tmp_path)
    with browser.Browser(tmp_path, from_names(["cat"]), screenshot=tmp_path / "page.png") as page:
        (found,) = page.detect([np.zeros((48, 65, 3), np.uint8)])
    assert len(found) == len(cases)
    differing = 0
    for item, box, mask in zip(found, boxes, masks, strict=True):
        expected = in_image(mask.astype(np.float32), Box(*map(float, box)), 48, 65)
        differing += item.mask != expected
        assert item.keypoints == tuple(Keypoint(0.25, 0.5, seen) for seen in (2, 1, 0))
    # Python computes with 32 bits and the browser with 64: a pixel at the edge may differ.
    assert differing <= 1


@pytest.mark.slow
@pytest.mark.long
def test_a_mask_rcnn_detects_the_same_in_the_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a crop that ends at the edge of the image, rounding decides whether the last row is 0.
    image_module = runtime.start().compat.v1.image
    crop = image_module.crop_and_resize

    def ending_within(image: Any, boxes: Any, *arguments: Any) -> Any:
        return crop(image, runtime.start().minimum(boxes, 1 - 1e-6), *arguments)

    monkeypatch.setattr(image_module, "crop_and_resize", ending_within)
    module = small_mask_rcnn(monkeypatch)
    label_map = from_names(["cat", "dog"])
    source = SimpleNamespace(model=module.model, label_map=label_map, run=tmp_path)
    job: Any = SimpleNamespace(source=source, folder=tmp_path / "out")
    job.folder.mkdir()
    tfjs.write(job)
    images = np.random.default_rng(1).integers(0, 256, (3, 90, 120, 3), np.uint8)
    expected = []
    for image in images:
        outputs = {name: value.numpy()[0] for name, value in module.detect(image[None]).items()}
        expected.append(as_objects(outputs, label_map, size=image.shape[:2]))
    with tfjs.opened(job.folder) as page:
        found = page.detect(list(images))
    proof = parity.compare(expected, found)
    assert proof.holds, str(proof)
    assert proof.compared > 6
    assert proof.lowest_mask_iou is not None
    assert proof.not_given == ()


@pytest.mark.slow
@pytest.mark.long
def test_keypoints_of_a_centernet_are_the_same_in_the_browser(tmp_path: Path) -> None:
    """Of random weights; two of its operations are replaced for TensorFlow.js."""
    tf = runtime.start()
    records = write_records(tmp_path / "records", keypoints=True)
    run = tmp_path / "run"
    where = ("--records", records, "--out", run, "--checkpoint", "none")
    tfod("configure", "centernet", *where, "--batch_size", 1, "--input_size", 128)
    config = pipeline_config.load(run / "pipeline.config")
    model = models.build(config, is_training=False)
    models.create_variables(model, 128)
    module = graph.module(model, batch_size=1)
    dice = np.random.default_rng(0)
    for variable in module.variables:
        if variable.trainable and variable.shape.rank == 4:
            spread = 0.8 / np.prod(variable.shape[:-1]) ** 0.5
            variable.assign(dice.normal(0, spread, variable.shape).astype(np.float32))
    label_map = labels.load(records / "label_map.pbtxt")
    source = SimpleNamespace(model=model, label_map=label_map, run=run)
    job: Any = SimpleNamespace(source=source, folder=tmp_path / "out")
    job.folder.mkdir()
    tfjs.write(job)
    image = dice.integers(0, 256, (100, 128, 3), np.uint8)
    outputs = {
        name: value.numpy()[0] for name, value in module.detect(tf.constant(image[None])).items()
    }
    expected = as_objects(outputs, label_map, size=image.shape[:2])
    with tfjs.opened(job.folder) as page:
        found = page.detect([image])
    # Random weights make large numbers, whose rounding is seen in the scores.
    proof = parity.compare([expected], found, Tolerance(score=0.01))
    assert proof.holds, str(proof)
    assert proof.not_given == ()
    # Whatever its score, each of a detection's keypoints is where it was. (Several have one box.)
    places = [_places(items) for items in (found[0], expected)]
    assert sum(map(len, places[0].values())) == sum(map(len, places[1].values())) > 50
    assert len(places[0]) > 10
    for box, points in places[0].items():
        np.testing.assert_allclose(points, places[1][box], atol=0.01)


def _places(items: Any) -> dict[tuple[Any, ...], list[Any]]:
    """The keypoints at each box, in order."""
    places: dict[tuple[Any, ...], list[Any]] = {}
    for item in items:
        edges = (item.box.ymin, item.box.xmin, item.box.ymax, item.box.xmax)
        box = (item.label, *(round(edge, 2) for edge in edges))
        places.setdefault(box, []).append([(point.y, point.x) for point in item.keypoints])
    return {box: sorted(points) for box, points in places.items()}

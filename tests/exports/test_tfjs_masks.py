"""Masks and keypoints in the browser: drawn and posted as Python draws them."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_mask_rcnn import small_mask_rcnn

from tfod_kit.core.annotations import Keypoint
from tfod_kit.core.boxes import Box
from tfod_kit.core.labels import from_names
from tfod_kit.detectors.objects import as_objects, in_image
from tfod_kit.engine import runtime
from tfod_kit.errors import SetupError
from tfod_kit.exports import browser, parity, tfjs

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
    module, save = small_mask_rcnn(monkeypatch), tfjs._save

    def saving(model: Any, folder: Path) -> list[str]:
        names = save(model, folder)
        shutil.copytree(folder, tmp_path / "saved")
        return names

    monkeypatch.setattr(tfjs, "_save", saving)
    label_map = from_names(["cat", "dog"])
    source = SimpleNamespace(model=module.model, label_map=label_map, run=tmp_path)
    job: Any = SimpleNamespace(source=source, folder=tmp_path / "out")
    job.folder.mkdir()
    tfjs.write(job)
    images = list(np.random.default_rng(1).integers(0, 256, (5, 90, 120, 3), np.uint8))
    once, again = (_detected(tmp_path / "saved", images, optimised) for optimised in (True, False))
    # Rounding decides which proposals are kept in some of these images, within TensorFlow too.
    steady = [
        index
        for index, pair in enumerate(zip(once, again, strict=True))
        if parity.compare(*([each] for each in pair)).holds
    ]
    assert len(steady) > 1
    expected = [once[index] for index in steady]
    with tfjs.opened(job.folder) as page:
        found = page.detect([images[index] for index in steady])
    proof = parity.compare(expected, found)
    assert proof.holds, str(proof)
    assert proof.compared > 6
    assert proof.lowest_mask_iou is not None
    assert proof.not_given == ()


def _detected(saved: Path, images: list[Any], optimised: bool) -> list[tuple[Any, ...]]:
    """What TensorFlow detects with the SavedModel that is converted."""
    tf = runtime.start()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not optimised})
    detect = tf.saved_model.load(saved).signatures["serving_default"]
    result = []
    for image in images:
        outputs = {name: value.numpy()[0] for name, value in detect(image=image[None]).items()}
        counted = outputs | {"num_detections": np.array(len(outputs["detection_scores"]))}
        result.append(as_objects(counted, from_names(["cat", "dog"]), size=image.shape[:2]))
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    return result

"""The drawing of the first training images: scaling undone, boxes, masks and keypoints in place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_records import write_records
from tfod import small_model

from tfod_kit import pipeline_config
from tfod_kit.configuration import start
from tfod_kit.engine import model as models
from tfod_kit.engine import runtime
from tfod_kit.training import batch_sheet, dataset
from tfod_kit.training.step_options import StepOptions
from tfod_kit.zoo import catalog

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Any]:
    """The model, its config, and the first batch of a data set with masks and keypoints."""
    folder = tmp_path_factory.mktemp("sheet")
    small_model(write_records(folder / "records"), folder / "run", "--augment", "none")
    config = pipeline_config.load(folder / "run" / "pipeline.config")
    config.train_input_reader.load_instance_masks = True
    config.train_input_reader.mask_type = 2  # PNG_MASKS
    config.train_input_reader.num_keypoints = 3
    model = models.build(config, is_training=True, where=Path("x.config"))
    return model, config, next(iter(dataset.build(config, model, StepOptions(cache=None))))


def test_tiles_show_the_objects_in_their_colours_with_boxes_and_masks(drawn: Any) -> None:
    model, config, batch = drawn
    tiles = batch_sheet.tiles(batch, model, config)
    assert [caption for _, caption in tiles] == ["2 objects"] * 4
    scaling = batch_sheet._scaling(model)
    for index, (pixels, truth) in enumerate(batch_sheet._images(batch)):
        image = np.asarray(batch_sheet._as_image(pixels, scaling))
        assert np.abs(image[0, 0].astype(int) - 128).max() < 6 or _is_covered(truth)
        red, blue = batch_sheet._objects(truth, {1: "red", 2: "blue"})
        assert (red.label, blue.label) == ("red", "blue")
        y, x = ((blue.box.ymin + blue.box.ymax) / 2, (blue.box.xmin + blue.box.xmax) / 2)
        assert image[int(y * 96), int(x * 96)].argmax() == 2  # drawn last, so it is on top
        assert red.mask is not None
        assert [point.visibility for point in red.keypoints] == [2, 2]
        assert (red.keypoints[0].y, red.keypoints[0].x) == pytest.approx(
            (red.box.ymin, red.box.xmin), abs=1e-5
        )
        assert (np.asarray(tiles[index][0]) != 0).any()


def _is_covered(truth: Any) -> bool:
    """Whether a square covers the corner of the image."""
    return bool((truth["groundtruth_boxes"][:, :2] <= 0.02).all(axis=1).any())


@pytest.mark.parametrize("name", ["ssd_cpu", "centernet", "faster_rcnn"])
def test_the_scaling_of_each_family_is_undone(name: str) -> None:
    tf = runtime.start()
    config = pipeline_config.copy_of(start.base_config(catalog.find(name)))
    model = models.build(config, is_training=True, where=Path("x.config"))
    pixels = np.random.default_rng(0).integers(0, 256, (1, 40, 40, 3)).astype(np.float32)
    smooth = tf.image.resize(pixels, (40, 40)).numpy()
    smooth[:, :20] = (200, 30, 90)
    scaled, _ = model.preprocess(tf.constant(smooth))
    image = np.asarray(batch_sheet._as_image(scaled[0].numpy(), batch_sheet._scaling(model)))
    assert np.abs(image[:2, :2].astype(int) - (200, 30, 90)).max() <= 1


def test_an_error_is_reported_and_does_not_end_the_training(
    drawn: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    model, config, (features, truth) = drawn
    with batch_sheet.optional():
        batch_sheet.tiles((features, {**truth, "groundtruth_boxes": None}), model, config)
    assert "The first training images are not drawn: " in capsys.readouterr().out


def test_at_most_sixteen_images_are_on_a_sheet(drawn: Any, tmp_path: Path) -> None:
    model, config, batch = drawn
    tiles = batch_sheet.tiles(batch, model, config)
    full, more = batch_sheet.sheet(tiles * 4), batch_sheet.sheet(tiles * 5)
    assert full.size == more.size
    assert batch_sheet.save(full, tmp_path).stat().st_size > 10_000

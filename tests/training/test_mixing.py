"""Mosaic, mixup and copy-paste: every object that remains is where its box, mask and points are."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_records import SIZE, write_records
from tfod import small_model

from tfod_kit import pipeline_config
from tfod_kit.engine import model as models
from tfod_kit.engine import runtime
from tfod_kit.errors import UsageError
from tfod_kit.records import example, feature_keys, shards
from tfod_kit.training import dataset, mixing_ops
from tfod_kit.training.mixing import Mixing, MixingOptions
from tfod_kit.training.mixing_ops import Dice
from tfod_kit.training.step_options import StepOptions

pytestmark = pytest.mark.slow

COLOURS = {1: (250, 20, 20), 2: (20, 250, 20), 3: (20, 20, 250), 4: (250, 250, 20)}
GREY = 128


def frame(height: int, width: int, objects: dict[int, tuple[int, int, int, int]], **flags: Any):
    """A decoded image with a filled rectangle (top, left, bottom, right in px) per class.

    Its corners are its keypoints; weights and area state which object a row belongs to.
    """
    tf = runtime.start()
    image = np.full((height, width, 3), GREY, np.uint8)
    masks = np.zeros((len(objects), height, width), np.float32)
    boxes = []
    for row, (label, (top, left, bottom, right)) in enumerate(objects.items()):
        image[top:bottom, left:right] = COLOURS[label]
        masks[:, top:bottom, left:right] = 0  # later rectangles are on top
        masks[row, top:bottom, left:right] = 1
        boxes.append((top / height, left / width, bottom / height, right / width))
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    points = np.stack([rows[:, :2], rows[:, 2:]], axis=1)
    labels = list(objects)
    values = {
        "image": image,
        "source_id": b"one",
        "original_image_spatial_shape": np.array([height, width], np.int32),
        "groundtruth_boxes": rows,
        "groundtruth_classes": np.array(labels, np.int64),
        "groundtruth_weights": np.array(labels, np.float32) / 4,
        "groundtruth_area": masks.sum(axis=(1, 2)),
        "groundtruth_is_crowd": np.array(
            [label in flags.get("crowd", ()) for label in labels], bool
        ),
        "groundtruth_group_of": np.zeros(len(labels), bool),
        "groundtruth_difficult": np.array([], np.int64),  # the record lacks it
        "groundtruth_instance_masks": masks,
        "groundtruth_keypoints": points,
        "groundtruth_keypoint_visibilities": np.ones((len(labels), 2), bool),
    }
    return mixing_ops.with_all_rows({name: tf.constant(value) for name, value in values.items()})


ONE = frame(120, 160, {1: (20, 30, 80, 100), 2: (90, 110, 115, 150)})
TWO = frame(200, 90, {3: (10, 10, 150, 60)})
THREE = frame(64, 64, {4: (5, 40, 60, 60), 1: (30, 5, 62, 30)})
EMPTY = frame(50, 70, {})


def dice(seed: int) -> Dice:
    return Dice(runtime.start().constant([seed, 7], "int64"))


def check_rows(mixed: dict[str, Any], blended: bool = False) -> int:
    """Compares each row of a mixed frame with its pixels; returns how many objects there are."""
    values = {name: np.asarray(value) for name, value in mixed.items()}
    height, width = values["image"].shape[:2]
    assert values["original_image_spatial_shape"].tolist() == [height, width]
    counts = {len(values[name]) for name in mixing_ops.ROWS if name in values}
    assert len(counts) == 1
    hidden = np.zeros((height, width), bool)
    for row, label in enumerate(values["groundtruth_classes"]):
        top, left, bottom, right = values["groundtruth_boxes"][row] * ((height, width) * 2)
        assert -1e-3 <= top < bottom <= height + 1e-3
        assert -1e-3 <= left < right <= width + 1e-3
        mask = values["groundtruth_instance_masks"][row] > 0.5
        rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
        edges = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
        assert np.abs(np.subtract(edges, (top, left, bottom, right))).max() < 1.6
        assert values["groundtruth_area"][row] == pytest.approx(mask.sum(), rel=0.25, abs=12)
        assert values["groundtruth_difficult"][row] == 0
        if not blended:
            assert values["groundtruth_weights"][row] == label / 4
            inside = np.abs(values["image"][mask].astype(int) - COLOURS[int(label)]).max(1)
            assert (inside < 60).mean() > 0.85  # its edges are blended with what is beside it
            hidden |= mask
    if not blended:
        coloured = np.abs(values["image"].astype(int) - GREY).max(2) > 100
        assert (coloured & ~hidden).sum() < 0.02 * height * width
    return counts.pop()


@pytest.mark.parametrize("seed", range(6))
def test_a_mosaic_keeps_boxes_masks_and_points_on_their_objects(seed: int) -> None:
    mixed = mixing_ops.mosaic(ONE, [TWO, THREE, EMPTY], dice(seed), 150)
    assert mixed["image"].shape == (112, 150, 3)  # the ratio of the first, at most 150 px
    assert check_rows(mixed) >= 2
    boxes, points = mixed["groundtruth_boxes"].numpy(), mixed["groundtruth_keypoints"].numpy()
    shown = mixed["groundtruth_keypoint_visibilities"].numpy()
    for corner, edges in ((0, boxes[:, :2]), (1, boxes[:, 2:])):
        assert points[:, corner][shown[:, corner]] == pytest.approx(edges[shown[:, corner]])
        assert np.isnan(points[:, corner][~shown[:, corner]]).all()


@pytest.mark.parametrize("seed", range(6))
def test_pasted_objects_cover_those_below_them(seed: int) -> None:
    mixed = mixing_ops.copy_paste(ONE, THREE, dice(seed))
    assert mixed["image"].shape == (120, 160, 3)
    assert check_rows(mixed) >= 1


def test_pasting_changes_images_but_never_pastes_crowds() -> None:
    crowds = frame(64, 64, {4: (5, 40, 60, 60), 1: (30, 5, 62, 30)}, crowd=(4, 1))
    counts = set()
    for seed in range(8):
        same = mixing_ops.copy_paste(ONE, crowds, dice(seed))
        assert (same["image"].numpy() == ONE["image"].numpy()).all()
        counts.add(len(mixing_ops.copy_paste(ONE, THREE, dice(seed))["groundtruth_boxes"]))
    assert {2, 3, 4} >= counts > {2}


@pytest.mark.parametrize("seed", range(3))
def test_mixup_weights_the_objects_as_it_weights_the_pixels(seed: int) -> None:
    mixed = mixing_ops.mixup(ONE, TWO, dice(seed), 500)
    assert mixed["image"].shape == (120, 160, 3)
    assert check_rows(mixed, blended=True) == 3
    share = mixed["groundtruth_weights"].numpy() / (np.array([1, 2, 3]) / 4)
    assert share[0] == pytest.approx(share[1])
    assert share[0] + share[2] == pytest.approx(1)
    mask = mixed["groundtruth_instance_masks"][2].numpy() > 0
    only = mask & (np.asarray(ONE["image"]) == GREY).all(2)
    expected = share[0] * GREY + share[2] * np.array(COLOURS[3])
    assert np.median(mixed["image"].numpy()[only], axis=0) == pytest.approx(expected, abs=2)


def test_large_images_become_smaller_before_they_are_mixed() -> None:
    mixed = mixing_ops.mixup(ONE, TWO, dice(0), 80)
    assert mixed["image"].shape == (60, 80, 3)
    assert check_rows(mixed, blended=True) == 3


def test_leftovers_are_dropped_unless_they_are_of_a_crowd() -> None:
    strip = {1: (0, 0, 100, 4), 2: (40, 40, 60, 60)}
    tall = frame(30, 200, {3: (0, 0, 30, 200)})
    remaining: dict[bool, set[int]] = {}
    for crowd in (False, True):
        flags = {"crowd": (1,)} if crowd else {}
        results = [
            mixing_ops.mosaic(frame(100, 100, strip, **flags), [tall] * 3, dice(seed), 400)
            for seed in range(12)
        ]
        for result in results:
            sides = result["groundtruth_boxes"].numpy() * 100
            assert (sides[:, 2:] - sides[:, :2] >= 2 - 1e-3).all()
        remaining[crowd] = {
            seed for seed, result in enumerate(results) if 1 in result["groundtruth_classes"]
        }
    assert remaining[True] >= remaining[False]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("mixing")
    small_model(write_records(folder / "records", train=8), folder / "run", "--augment", "none")
    return pipeline_config.load(folder / "run" / "pipeline.config")


@pytest.fixture(scope="module")
def batches(config: Any) -> Callable[..., list[Any]]:
    model = models.build(config, is_training=True, where=Path("x.config"))

    def taken(seed: int, on: Sequence[bool] = (True,), **options: float) -> list[Any]:
        mixing = Mixing(MixingOptions().settled(options), config, seed) if options else None
        fixed = pipeline_config.copy_of(config)
        fixed.train_input_reader.shuffle = False
        fixed.train_input_reader.num_prefetch_batches = 1
        settings = StepOptions(cache="memory", seed=seed)
        data = iter(dataset.build(fixed, model, settings, None, mixing))
        results = []
        for state in on:
            if mixing is not None:
                mixing.switch(state)
            results.append(next(data))
        return results

    return taken


def test_the_seed_decides_and_copy_paste_finds_masks_that_the_model_does_not_load(
    batches: Callable[..., list[Any]],
) -> None:
    def images(seed: int, **options: float) -> Any:
        return batches(seed, **options)[0][0]["image"].numpy()

    options = {"mosaic": 0.5, "mixup": 0.5, "copy_paste": 0.5}
    assert (images(1, **options) == images(1, **options)).all()
    features, truth = batches(1, copy_paste=1.0)[0]
    assert (images(1) != features["image"].numpy()).any(axis=(1, 2, 3)).sum() >= 2
    assert "groundtruth_instance_masks" not in truth


def test_other_seeds_and_images_get_other_numbers() -> None:
    numbers = {
        float(Dice(runtime.start().constant(seed, "int64")).uniform())
        for seed in ([1, 1], [1, 2], [2, 1])
    }
    assert len(numbers) == 3


def test_there_is_room_for_the_boxes_of_four_images(batches: Callable[..., list[Any]]) -> None:
    _, plain = batches(1)[0]
    _, truth = batches(1, mosaic=1.0)[0]
    assert truth["groundtruth_boxes"].shape[1] == 4 * plain["groundtruth_boxes"].shape[1]
    assert truth["num_groundtruth_boxes"].numpy().max() > 2


def test_it_can_be_switched_off_during_a_training(batches: Callable[..., list[Any]]) -> None:
    plain = batches(1, [True] * 12)
    mixed = batches(1, [True] + [False] * 11, mosaic=1.0)
    assert (plain[0][0]["image"] != mixed[0][0]["image"]).numpy().any()
    # Those that were prepared before are still mixed.
    assert (plain[-1][0]["image"] == mixed[-1][0]["image"]).numpy().all()


def test_images_with_labels_of_their_own_and_full_ones_are_left_alone(config: Any) -> None:
    tf = runtime.start()
    mixing = Mixing(MixingOptions(mosaic=1.0), config, 1)
    mixing.with_room(config.train_input_reader)
    labelled = {**ONE, "groundtruth_image_classes": tf.constant([1], tf.int64)}
    plain = {**ONE, "groundtruth_image_classes": tf.constant([], tf.int64)}
    assert mixing._fits([plain] * 4)
    assert not mixing._fits([plain, plain, labelled, plain])
    mixing._room = 7
    assert not mixing._fits([plain] * 4)


def test_the_memory_and_the_files_of_a_cache_take_the_masks_into_account(
    config: Any, tmp_path: Path
) -> None:
    mixing = Mixing(MixingOptions(copy_paste=0.5), config, 1)
    plain, masked = config.train_input_reader, mixing.with_masks(config.train_input_reader)
    assert dataset._needed(plain) == 8 * 3 * SIZE**2
    assert dataset._needed(masked) == 8 * (3 + 4 * 2) * SIZE**2  # two objects, float32
    names = {dataset._cache_file(tmp_path / "cache", [], 0, masks) for masks in (None, 1, 2)}
    assert len(names) == 3


def test_copy_paste_without_masks_is_one_message(config: Any, tmp_path: Path) -> None:
    bare = pipeline_config.copy_of(config)
    records = write_records(tmp_path / "records")
    path = next(records.glob("train-*"))
    stripped = []
    for record in shards.read(path):
        message = example.example_proto.parse(record)
        del message.features.feature[feature_keys.MASK]
        stripped.append(message.SerializeToString())
    shards.write(path, stripped)
    bare.train_input_reader.tf_record_input_reader.input_path[:] = [str(path)]
    with pytest.raises(UsageError, match="--copy_paste cuts objects out by their masks"):
        Mixing(MixingOptions(copy_paste=0.5), bare, 1)
    Mixing(MixingOptions(mosaic=0.5), bare, 1)
    bare.train_input_reader.load_track_id = True
    with pytest.raises(UsageError, match=r"cannot be mixed: load_track_id\.(.|\n)*--mosaic"):
        Mixing(MixingOptions(mosaic=0.5), bare, 1)


def test_a_resumed_training_goes_on_with_what_it_had() -> None:
    given = MixingOptions(mixup=0.0, copy_paste=0.2)
    settled = given.settled({"mosaic": 0.5, "mixup": 0.1})
    assert settled == MixingOptions(0.5, 0.0, 0.2)
    assert str(settled) == "mosaic 0.5, copy_paste 0.2"
    assert not MixingOptions().settled({}).used

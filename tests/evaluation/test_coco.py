"""COCO's figures are pycocotools' own."""

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
import scenes

from tfod_kit.errors import DataError
from tfod_kit.evaluation import coco, from_json, metrics
from tfod_kit.evaluation.tables import Tables

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module", params=SEEDS)
def files(request: pytest.FixtureRequest, tmp_path_factory: Any) -> tuple[Path, Path]:
    return scenes.write(tmp_path_factory.mktemp("scenes"), seed=request.param)


@pytest.fixture(scope="module")
def tables(files: tuple[Path, Path]) -> Tables:
    return from_json.read(*files)


def reference(files: tuple[Path, Path], kind: str, **changes: Any) -> Any:
    """pycocotools' COCOeval of one kind, run."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(files[0]))
        scorer = COCOeval(truth, truth.loadRes(str(files[1])), kind)
        for name, value in changes.items():
            setattr(scorer.params, name, value)
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    return scorer


@pytest.mark.parametrize(
    ("kind", "beginning"), [("bbox", metrics.BOXES.prefix), ("segm", metrics.MASKS.prefix)]
)
def test_boxes_and_masks_are_pycocotools_own(
    files: tuple[Path, Path], tables: Tables, kind: str, beginning: str
) -> None:
    scorer = reference(files, kind)
    values, classes = coco.measure(tables)
    own = [value for name, value in values.items() if name.startswith(beginning)]
    assert own == pytest.approx(scorer.stats.tolist(), abs=1e-9)
    assert 0.1 < own[0] < 0.9, "and the scenes are neither trivial nor hopeless"
    table = scorer.eval["precision"]
    for place, name in enumerate(scenes.NAMES):
        row = classes[name]
        halves = (row.ap, row.ap50) if kind == "bbox" else (row.mask_ap, row.mask_ap50)
        wanted = table[:, :, place, 0, -1].mean(), table[0, :, place, 0, -1].mean()
        assert halves == pytest.approx(wanted, abs=1e-9)
    if kind == "bbox":
        row = classes["cat"]
        sizes = [table[:, :, 0, size, -1].mean() for size in (1, 2, 3)]
        assert [row.ap_small, row.ap_medium, row.ap_large] == pytest.approx(sizes, abs=1e-9)
        assert row.recall == pytest.approx(scorer.eval["recall"][:, 0, 0, -1].mean(), abs=1e-9)


def test_keypoints_of_a_class_are_pycocotools_own(files: tuple[Path, Path], tables: Tables) -> None:
    values, classes = coco.measure(tables)
    averages = []
    for number, name in zip(scenes.IDS, scenes.NAMES, strict=True):
        stats = reference(files, "keypoints", catIds=[number]).stats
        assert (classes[name].keypoint_ap, classes[name].keypoint_ap50) == pytest.approx(
            stats[:2].tolist(), abs=1e-9
        )
        averages.append(stats[0])
    assert values["Keypoints_Precision/mAP"] == pytest.approx(sum(averages) / 3, abs=1e-9)


def test_other_numbers_of_keypoints_have_upstreams_spread(tmp_path: Path) -> None:
    import numpy as np

    files = scenes.write(tmp_path, points=4)
    _, classes = coco.measure(from_json.read(*files))
    stats = reference(files, "keypoints", catIds=[1], kpt_oks_sigmas=np.full(4, 0.05)).stats
    assert classes["cat"].keypoint_ap == pytest.approx(stats[0], abs=1e-9)
    assert 0 < stats[0] < 1


def test_an_object_without_a_mask_is_no_reproach_to_a_mask(tmp_path: Path) -> None:
    tables = from_json.read(*scenes.write(tmp_path))
    before = coco.measure(tables)[0]["DetectionMasks_Precision/mAP"]
    bare = dict(tables.truth[0]) | {"id": 10_000, "category_id": 1, "iscrowd": 0}
    bare.pop("segmentation")
    tables.truth.append(bare)
    after = coco.measure(tables)[0]["DetectionMasks_Precision/mAP"]
    assert after == pytest.approx(before, abs=0.05)


def test_keypoints_of_another_number_are_refused(tmp_path: Path) -> None:
    tables = from_json.read(*scenes.write(tmp_path, points=4))
    tables.detections[0]["keypoints"] = [1, 2, 2]
    with pytest.raises(DataError, match="differ in their number of keypoints"):
        coco.measure(tables)

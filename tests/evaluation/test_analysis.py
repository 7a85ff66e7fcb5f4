"""What is read off the matches: curves, thresholds, calibration, confusion, error types."""

from pathlib import Path
from typing import Any

import pytest
import scenes

from tfod_kit import evaluation
from tfod_kit.evaluation import from_json, metrics
from tfod_kit.evaluation.tables import Tables
from tfod_kit.runs.results import BACKGROUND, NOT_MEASURED, Results

CAT, DOG = 1, 2
PLACE = (10.0, 10.0, 40.0, 40.0)
APART = (100.0, 100.0, 40.0, 40.0)
NEAR = (30.0, 10.0, 40.0, 40.0)  # IoU 1/3 with PLACE


def tables(truth: list[tuple[Any, ...]], found: list[tuple[Any, ...]]) -> Tables:
    """Rows of (class, box, image = 1) and (class, box, score, image = 1)."""
    made = Tables({"cat": CAT, "dog": DOG})
    made.images = [
        {"id": n, "width": 200, "height": 200, "source_id": f"s{n}", "file_name": f"{n}.jpg"}
        for n in (1, 2)
    ]
    for number, (label, box, *image) in enumerate(truth, start=1):
        made.truth.append(_row(number, label, box, image or [1]))
    for number, (label, box, score, *image) in enumerate(found, start=1):
        made.detections.append(_row(number, label, box, image or [1]) | {"score": score})
    return made


def _row(number: int, label: int, box: tuple[float, ...], image: list[int]) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image[0],
        "category_id": label,
        "bbox": list(box),
        "area": box[2] * box[3],
        "iscrowd": 0,
    }


def measured(truth: list[tuple[Any, ...]], found: list[tuple[Any, ...]]) -> Results:
    return evaluation.measure(tables(truth, found))


@pytest.mark.parametrize(
    ("kind", "truth", "found"),
    [
        pytest.param("classification", [(CAT, PLACE)], [(DOG, PLACE, 0.9)], id="class"),
        pytest.param("localisation", [(CAT, PLACE)], [(CAT, NEAR, 0.9)], id="place"),
        pytest.param("both", [(CAT, PLACE)], [(DOG, NEAR, 0.9)], id="both"),
        pytest.param(
            "duplicate", [(CAT, PLACE)], [(CAT, PLACE, 0.9), (CAT, PLACE, 0.8)], id="twice"
        ),
        pytest.param("background", [(CAT, PLACE)], [(CAT, APART, 0.9)], id="nothing there"),
        pytest.param("missed", [(CAT, PLACE)], [], id="not found"),
    ],
)
def test_each_error_has_its_type(
    kind: str, truth: list[tuple[Any, ...]], found: list[tuple[Any, ...]]
) -> None:
    errors = measured(truth, found).errors
    wrong = {name: row.total for name, row in errors.items() if row.total}
    # What leaves an object unfound counts as missed too, unless mending it would find the object.
    assert wrong == {kind: 1} | ({"missed": 1} if kind in ("both", "background") else {})


def test_an_errors_cost_is_what_mending_it_gains() -> None:
    """Of two cats one is found; the other is taken for a dog: mended, the AP of cats is 1."""
    result = measured(
        [(CAT, PLACE), (CAT, APART), (DOG, PLACE, 2)],
        [(CAT, PLACE, 0.9), (DOG, APART, 0.8), (DOG, PLACE, 0.7, 2)],
    )
    # Cats: 51 of the 101 recall points. Dogs: the false one comes first, so precision 1/2.
    assert result.metrics[metrics.BOXES.names[1]] == pytest.approx((51 / 101 + 0.5) / 2)
    assert result.errors["classification"].count == 1
    assert result.errors["classification"].loss == pytest.approx(1 - (51 / 101 + 0.5) / 2)
    assert result.errors["missed"].count == 0, "since mending the class finds it"


def test_the_curves_area_is_cocos_ap(tmp_path: Path) -> None:
    """Our matching and COCOeval's, which faster-coco-eval does, come to the same."""
    result = evaluation.measure(from_json.read(*scenes.write(tmp_path, images=60)))
    for row in result.classes.values():
        assert sum(row.curves.best_precision) / 101 == pytest.approx(row.ap50, abs=1e-5)


def test_the_best_threshold_has_the_highest_f1() -> None:
    """Right at 0.9 and 0.6, wrong at 0.7 and 0.3; 2 objects: F1 2/3, 1/2, 4/5, 2/3."""
    result = measured(
        [(CAT, PLACE), (CAT, PLACE, 2)],
        [(CAT, PLACE, 0.9), (CAT, APART, 0.7), (CAT, PLACE, 0.6, 2), (CAT, APART, 0.3, 2)],
    )
    best = result.classes["cat"].best
    assert (best.threshold, best.f1) == (0.6, pytest.approx(0.8))
    assert (best.precision, best.recall) == (pytest.approx(2 / 3), 1.0)
    curves = result.classes["cat"].curves
    assert curves.f1_at[60] == pytest.approx(0.8)
    assert curves.recall_at[61] == 0.5
    assert curves.precision_at[95] == NOT_MEASURED, "where no detection is that sure"
    assert result.best == best


def test_detections_of_one_score_stand_and_fall_together() -> None:
    result = measured([(CAT, PLACE)], [(CAT, PLACE, 0.5), (CAT, APART, 0.5)])
    assert result.best.f1 == pytest.approx(2 / 3)


def test_calibration_is_the_gap_between_score_and_precision() -> None:
    """Bin 0.9: half right at 0.95; bin 0.2: none right at 0.25. (2 x 0.45 + 1 x 0.25) / 3."""
    result = measured([(CAT, PLACE)], [(CAT, PLACE, 0.95), (CAT, APART, 0.95), (DOG, APART, 0.25)])
    assert result.calibration.error == pytest.approx((2 * 0.45 + 0.25) / 3)
    filled = {row.low: (row.detections, row.precision) for row in result.calibration.bins}
    assert filled[0.9] == (2, 0.5)
    assert filled[0.2] == (1, 0.0)
    assert filled[0.5] == (0, NOT_MEASURED)


def test_confusion_counts_each_object_and_each_detection_once() -> None:
    result = measured(
        [(CAT, PLACE), (CAT, APART), (DOG, PLACE, 2)],
        [(CAT, PLACE, 0.9), (DOG, APART, 0.9), (DOG, APART, 0.9, 2)],
    )
    assert result.confusion.counts == {
        "cat": {"cat": 1, "dog": 1},
        "dog": {BACKGROUND: 1},
        BACKGROUND: {"dog": 1},
    }


def test_the_worst_images_come_first() -> None:
    result = measured(
        [(CAT, PLACE), (CAT, PLACE, 2), (CAT, APART, 2)],
        [(CAT, PLACE, 0.9), (CAT, PLACE, 0.9, 2), (DOG, NEAR, 0.95, 2)],
    )
    (worst,) = result.worst
    assert (worst.source_id, worst.missed, worst.false, worst.found) == ("s2", 1, 1, 1)


def test_samples_lie_evenly_between_the_best_images_and_the_worst() -> None:
    """Of 40 pictures 20 have a false detection, and 12 of those are the worst: 8 of 28 are left."""
    made = tables([], [])
    blank = made.images[0]
    made.images = [{**blank, "id": n, "source_id": f"s{n}"} for n in range(1, 41)]
    for number in range(1, 41):
        made.truth.append(_row(number, CAT, PLACE, [number]))
        made.detections.append(_row(number, CAT, PLACE, [number]) | {"score": 0.9})
        if number > 20:
            made.detections.append(_row(40 + number, CAT, APART, [number]) | {"score": 0.9})
    result = evaluation.measure(made)
    names = [image.source_id for image in result.samples]
    assert len(set(names)) == len(names) == 6
    assert not set(names) & {image.source_id for image in result.worst}
    assert [image.false for image in result.samples] == [0, 0, 0, 0, 1, 1]
    assert names == [image.source_id for image in evaluation.measure(made).samples]


def test_what_lies_in_a_crowd_is_neither_right_nor_wrong() -> None:
    made = tables([(CAT, PLACE), (CAT, APART)], [(CAT, PLACE, 0.9), (CAT, APART, 0.8)])
    made.truth[1]["iscrowd"] = 1
    result = evaluation.measure(made)
    assert (result.ground_truth, result.best.f1) == (1, 1.0)
    assert not any(row.total for row in result.errors.values())
    assert result.confusion.counts == {"cat": {"cat": 1}}


def test_nothing_right_has_no_best_threshold() -> None:
    result = measured([(CAT, PLACE)], [(CAT, APART, 0.9)])
    assert result.best.threshold == NOT_MEASURED
    assert "no ground truth of the class dog" in result.not_measured

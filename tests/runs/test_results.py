from pathlib import Path

import pytest

from tfod_kit.errors import DataError
from tfod_kit.runs import results

FULL = results.Results(
    metrics={"DetectionBoxes_Precision/mAP": 0.5},
    classes={
        "cat": results.ClassMetrics(
            3,
            0.5,
            best=results.OperatingPoint(0.4, 0.8, 0.7, 0.75),
            curves=results.Curves((0.0, 1.0)),
        )
    },
    images=2,
    detections=4,
    calibration=results.Calibration(0.1, (results.CalibrationBin(0.0, 0.1, 3, 0.05, 0.0),), 0.05),
    errors={"missed": results.ErrorType(2, 0.1, 5)},
    confusion=results.Confusion(0.4, {"cat": {results.BACKGROUND: 2}}),
    worst=(results.ImageErrors("7", "7.jpg", 2, 1, 0),),
    step=100,
    split="val",
)


def test_saved_results_are_loaded(tmp_path: Path) -> None:
    file = results.path(tmp_path, "val", 100)
    results.save(FULL, file)
    assert results.load(file) == FULL


def test_results_are_listed_by_split_and_step(tmp_path: Path) -> None:
    for split, step in (("val", 1000), ("val", 200), ("test", None)):
        results.save(FULL, results.path(tmp_path, split, step))
    (tmp_path / "other.json").write_text("{}")
    found = [file.name for file in results.available(tmp_path)]
    assert found == ["test-0.json", "val-200.json", "val-1000.json"]


def test_the_matrix_has_a_row_an_object_class() -> None:
    matrix = FULL.confusion.matrix(("cat", results.BACKGROUND))
    assert matrix == [[0, 2], [0, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "truncated", id="cut short"),
        pytest.param('{"metrics": 3}', "Expected `object`", id="other JSON"),
        pytest.param(
            '{"metrics": {}, "classes": {}, "images": 1, "detections": 1, "version": 99}',
            "version 99",
            id="from the future",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "val-1.json"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        results.load(file)

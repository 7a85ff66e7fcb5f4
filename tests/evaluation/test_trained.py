"""`tfod evaluate` on a trained model: the checkpoint's figures are the export's."""

from pathlib import Path

import pytest
from tfod import tfod
from trained import STEPS, Trained

from tfod_kit.runs import results
from tfod_kit.runs.results import BACKGROUND, ERROR_TYPES


@pytest.fixture(scope="module")
def measured(trained: Trained) -> results.Results:
    """What the fixture's own `tfod evaluate RUN --split test` left."""
    return results.load(results.path(trained.run / "eval", "test", STEPS + 2))


@pytest.mark.slow
def test_the_document_is_whole(trained: Trained, measured: results.Results) -> None:
    assert (measured.split, measured.step) == ("test", STEPS + 2)
    assert measured.images == len(list((trained.data / "unseen").rglob("*.jpg")))
    assert set(measured.errors) == set(ERROR_TYPES)
    assert 0 < measured.best.threshold < 1
    assert sum(row.detections for row in measured.calibration.bins) > 0
    found = sum(measured.confusion.counts.get(name, {}).get(name, 0) for name in measured.classes)
    assert found / measured.ground_truth == pytest.approx(measured.best.recall)
    columns = (*measured.classes, BACKGROUND)
    rows = measured.confusion.matrix(columns)[:-1]
    assert sum(map(sum, rows)) == measured.ground_truth, "each object stands in one place"
    drawn = [trained.run / "eval" / image.drawn for image in measured.worst if image.drawn]
    assert drawn
    assert measured.samples
    drawn += [trained.run / "eval" / image.drawn for image in measured.samples]
    assert all(path.is_file() for path in drawn)


@pytest.mark.slow
def test_the_export_has_the_same_figures(
    trained: Trained, measured: results.Results, tmp_path: Path
) -> None:
    printed = tfod(
        *("evaluate", trained.export, "--records", trained.records, "--split", "test"),
        *("--metrics", "voc2010", "--out", tmp_path / "eval"),
    )
    (document,) = results.available(tmp_path / "eval")
    exported = results.load(document)
    half = "DetectionBoxes_Precision/mAP@.50IOU"
    assert exported.metrics[half] == pytest.approx(measured.metrics[half], abs=2e-3)
    # Areas under curves with all points and with 101 are near each other.
    pascal = exported.metrics["PascalBoxes_Precision/mAP@0.5IOU"]
    assert pascal == pytest.approx(exported.metrics[half], abs=0.03)
    assert f"PASCAL VOC 2010: {pascal:.3f}" in printed

from pathlib import Path

import pytest

from tfod_kit.errors import DataError, UsageError
from tfod_kit.runs import best_checkpoint, checkpoints
from tfod_kit.runs.training_history import EvalPoint

MAP = "DetectionBoxes_Precision/mAP"
HALF = "DetectionBoxes_Precision/mAP@.50IOU"


def saved(run: Path, step: int) -> Path:
    prefix = run / f"ckpt-{step}"
    run.mkdir(exist_ok=True)
    (run / f"ckpt-{step}.index").write_text(f"index {step}")
    (run / f"ckpt-{step}.data-00000-of-00001").write_text(f"data {step}")
    return prefix


def test_the_best_is_a_copy_that_outlives_the_run_s_own(tmp_path: Path) -> None:
    first = saved(tmp_path / "run", 10)
    kept = best_checkpoint.keep(tmp_path / "run", first, MAP, 0.5, 10)
    for path in checkpoints.parts(first):
        path.unlink()
    assert best_checkpoint.read(tmp_path / "run") == kept
    found = checkpoints.choose(tmp_path / "run", "best")
    assert [path.read_text() for path in checkpoints.parts(found)] == ["data 10", "index 10"]


def test_a_better_one_takes_its_place(tmp_path: Path) -> None:
    for step in (10, 20):
        best_checkpoint.keep(tmp_path, saved(tmp_path, step), MAP, step / 100, step)
    assert {path.name for path in (tmp_path / "best").iterdir()} == {
        *("best.json", "checkpoint", "ckpt-20.index", "ckpt-20.data-00000-of-00001")
    }


def test_a_kill_between_copy_and_clearing_up_leaves_the_newer_one_named(tmp_path: Path) -> None:
    best_checkpoint.keep(tmp_path, saved(tmp_path, 20), MAP, 0.5, 20)
    saved(tmp_path / "best", 90)  # its best.json was never written
    assert checkpoints.choose(tmp_path, "best").name == "ckpt-20"


def test_best_json_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "best.json").write_text("{}")
    with pytest.raises(DataError, match=r"best\.json"):
        best_checkpoint.read(tmp_path)


@pytest.mark.parametrize("name", [HALF, "map@.50iou", "mAP@.50IOU"])
def test_a_metric_goes_by_the_end_of_its_name(name: str) -> None:
    assert (
        best_checkpoint.find_metric([MAP, HALF, "DetectionMasks_Precision/mAP@.50IOU"], name)
        == HALF
    )


def test_an_unknown_metric_gets_suggestions() -> None:
    with pytest.raises(UsageError, match="Did you mean 'mAP"):
        best_checkpoint.find_metric([MAP, HALF], "mAP@50")


@pytest.mark.parametrize(
    ("values", "min_delta", "expected"),
    [
        ([], 0.0, 0),
        ([0.1, 0.2, 0.3], 0.0, 0),
        ([0.1, 0.3, 0.2, 0.3], 0.0, 2),
        ([0.10, 0.11, 0.12], 0.05, 2),  # a slow rise that never clears the bar
        ([0.10, 0.13, 0.16], 0.05, 0),
        ([-1.0, -1.0], 0.0, 0),  # nothing to measure: nothing to judge by
    ],
)
def test_how_long_a_run_has_not_become_better(
    values: list[float], min_delta: float, expected: int
) -> None:
    points = [EvalPoint(step, "val", {MAP: value}) for step, value in enumerate(values)]
    assert best_checkpoint.evaluations_without_improvement(points, MAP, min_delta) == expected

import csv
import dataclasses
from pathlib import Path

import pytest

from tfod_kit.errors import DataError
from tfod_kit.runs import training_history
from tfod_kit.runs.training_history import EvalPoint, History, TrainPoint


def trained(step: int) -> TrainPoint:
    return TrainPoint(step, {"Loss/total_loss": 1 / step}, 0.01, 2.5, time=1e9 + step)


def measured(step: int, split: str = "val", average: float = 0.5) -> EvalPoint:
    metrics = {"DetectionBoxes_Precision/mAP": average}
    return EvalPoint(step, split, metrics, {"böse, Katze": {"ap50": average}}, time=1e9 + step)


def test_what_is_appended_is_read_back_in_order(tmp_path: Path) -> None:
    training_history.append(tmp_path / "run", trained(20), measured(20))
    training_history.append(tmp_path / "run", trained(10))
    assert training_history.read(tmp_path / "run") == History(
        (trained(10), trained(20)), (measured(20),)
    )


def test_a_folder_without_a_history_has_an_empty_one(tmp_path: Path) -> None:
    assert training_history.read(tmp_path) == History()
    assert training_history.write_tables(tmp_path) == []
    assert training_history.truncate(tmp_path, 5) == 0


def test_the_later_of_two_points_of_a_step_counts(tmp_path: Path) -> None:
    training_history.append(tmp_path, measured(5, average=0.1), measured(5, "test"))
    training_history.append(tmp_path, measured(5, average=0.2))
    assert training_history.read(tmp_path).evals == (measured(5, "test"), measured(5, average=0.2))


def test_a_resumed_run_drops_what_came_after(tmp_path: Path) -> None:
    training_history.append(tmp_path, *map(trained, (10, 20, 30)), measured(20), measured(30))
    assert training_history.truncate(tmp_path, 20) == 2
    assert training_history.read(tmp_path) == History((trained(10), trained(20)), (measured(20),))


@pytest.mark.parametrize("cut", [1, 5, 100])
def test_a_truncated_line_is_ignored_and_then_replaced(tmp_path: Path, cut: int) -> None:
    training_history.append(tmp_path, trained(10), trained(20))
    path = tmp_path / training_history.FILE_NAME
    path.write_bytes(path.read_bytes()[:-cut])
    assert training_history.read(tmp_path).train == (trained(10),)
    training_history.append(tmp_path, trained(30))
    assert training_history.read(tmp_path).train == (trained(10), trained(30))


@pytest.mark.parametrize("line", ["no json", "[]", '{"kind": "other"}', '{"kind": "train"}'])
def test_an_invalid_line_is_reported_with_its_number(tmp_path: Path, line: str) -> None:
    training_history.append(tmp_path, trained(10))
    path = tmp_path / training_history.FILE_NAME
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=rf"{training_history.FILE_NAME}, line 2"):
        training_history.read(tmp_path)


def test_numbers_that_json_lacks_are_left_out(tmp_path: Path) -> None:
    point = dataclasses.replace(trained(10), losses={"a": float("nan"), "b": 1.0})
    training_history.append(tmp_path, point)
    assert training_history.read(tmp_path).train[0].losses == {"b": 1.0}


def test_the_tables_have_a_row_a_point(tmp_path: Path) -> None:
    training_history.append(tmp_path, trained(10), trained(20), measured(20))
    train, evals = training_history.write_tables(tmp_path)
    with train.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["step"], row["Loss/total_loss"]) for row in rows] == [
        ("10", "0.1"),
        ("20", "0.05"),
    ]
    with evals.open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["split"], row["ap50/böse, Katze"]) == ("val", "0.5")

"""docs/training.md names the files of a run, and the fields of its history."""

import dataclasses
from pathlib import Path

from tfod_kit.runs import best_checkpoint, checkpoints, run_folder, training_history

TEXT = (Path(__file__).parents[2] / "docs" / "training.md").read_text("utf-8")


def test_every_file_is_documented() -> None:
    names = (
        training_history.FILE_NAME,
        training_history.TRAIN_TABLE,
        training_history.EVAL_TABLE,
        run_folder.CONFIG,
        run_folder.RECORD,
    )
    for name in (*names, f"{checkpoints.BEST}/{best_checkpoint.FILE_NAME}"):
        assert f"`{name}`" in TEXT, name


def test_every_field_of_the_history_is_documented() -> None:
    _, _, section = TEXT.partition("## history.jsonl")
    for point in (training_history.TrainPoint, training_history.EvalPoint):
        for field in dataclasses.fields(point):
            assert f"`{field.name}`" in section, field.name

"""What docs/training.md promises is there: options, files, and the fields of the history."""

import argparse
import dataclasses
import re
from pathlib import Path

from tfod_kit.cli import evaluate, export, train
from tfod_kit.runs import best_checkpoint, checkpoints, run_folder, training_history

TEXT = (Path(__file__).parent.parent / "docs" / "training.md").read_text("utf-8")


def test_every_option_exists() -> None:
    known = set()
    for verb in (train, evaluate, export):
        parser = argparse.ArgumentParser()
        verb.register(parser)
        known |= {option for action in parser._actions for option in action.option_strings}
    told = set(re.findall(r"--[a-z_]+", TEXT))
    assert len(told) > 10
    assert told <= known


def test_every_file_is_told() -> None:
    names = (
        training_history.FILE_NAME,
        training_history.TRAIN_TABLE,
        training_history.EVAL_TABLE,
        run_folder.CONFIG,
        run_folder.RECORD,
    )
    for name in (*names, f"{checkpoints.BEST}/{best_checkpoint.FILE_NAME}"):
        assert f"`{name}`" in TEXT, name


def test_every_field_of_the_history_is_told() -> None:
    _, _, told = TEXT.partition("## history.jsonl")
    for point in (training_history.TrainPoint, training_history.EvalPoint):
        for field in dataclasses.fields(point):
            assert f"`{field.name}`" in told, field.name

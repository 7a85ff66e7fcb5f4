"""What a run was trained with; the refusals in full are in tests/engine/test_run_control.py."""

from pathlib import Path
from typing import Any

import pytest

from tfod_kit import pipeline_config
from tfod_kit.errors import DataError
from tfod_kit.runs import run_folder

TEXT = """
model { ssd { num_classes: 2 feature_extractor { type: "ssd_mobilenet_v2_keras" }
  post_processing { batch_non_max_suppression { iou_threshold: 0.6 } } } }
train_config { batch_size: 8 num_steps: 100 fine_tune_checkpoint: "a"
  optimizer { adam_optimizer { epsilon: 1e-07 learning_rate { cosine_decay_learning_rate {
    learning_rate_base: 0.1 total_steps: 100 } } } } }
train_input_reader { label_map_path: "gone" tf_record_input_reader { input_path: "a" } }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run_folder.record_start(
        tmp_path, pipeline_config.loads(TEXT), step=0, command=["train", "."], seed=3
    )
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "refused", "allowed"),
    [
        ("", "", 0, 0),
        ("num_classes: 2", "num_classes: 3", 1, 0),
        ("adam_optimizer { epsilon: 1e-07", "adam_optimizer { epsilon: 1e-03", 1, 0),
        ("adam_optimizer { epsilon: 1e-07", "momentum_optimizer {", 2, 0),
        ("iou_threshold: 0.6", "iou_threshold: 0.5", 0, 1),
        ("learning_rate_base: 0.1", "learning_rate_base: 0.01", 0, 1),
        ("batch_size: 8", "batch_size: 4", 0, 1),
        ("num_steps: 100", "num_steps: 200", 0, 0),
        ("total_steps: 100", "total_steps: 200", 0, 0),
        ('fine_tune_checkpoint: "a"', 'fine_tune_checkpoint: "b"', 0, 0),
        ('input_path: "a"', 'input_path: "b"', 0, 0),
    ],
)
def test_what_makes_a_checkpoint_another_model_s(
    folder: Path, old: str, new: str, refused: int, allowed: int
) -> None:
    changes = run_folder.compare(folder, pipeline_config.loads(TEXT.replace(old, new)))
    assert (len(changes.refused), len(changes.allowed)) == (refused, allowed)
    assert all(
        str(change) in str(run_folder.changed_config_error(folder, changes))
        for change in changes.refused
    )


def test_a_folder_that_upstream_trained_has_nothing_to_compare(tmp_path: Path) -> None:
    config = pipeline_config.loads(TEXT)
    assert run_folder.compare(tmp_path, config) == run_folder.ConfigChanges([], [])
    assert run_folder.read(tmp_path) is None


def test_each_start_and_the_end_are_noted(folder: Path) -> None:
    config = pipeline_config.loads(TEXT)
    run_folder.record_end(folder, run_folder.STOPPED, 40)
    assert not run_folder.is_finished(folder, folder / "ckpt-40")
    run_folder.record_start(folder, config, step=40, command=["train", "."])
    known: Any = run_folder.read(folder)
    assert [(start.step, start.seed) for start in known.starts] == [(0, 3), (40, None)]
    assert known.ended is None
    run_folder.record_end(folder, run_folder.FINISHED, 100)
    assert run_folder.is_finished(folder, folder / "ckpt-100")


def test_a_start_from_step_0_begins_a_new_record(folder: Path) -> None:
    run_folder.record_start(folder, pipeline_config.loads(TEXT), step=0)
    known: Any = run_folder.read(folder)
    assert len(known.starts) == 1


@pytest.mark.parametrize(("step", "over"), [(99, False), (100, True)])
def test_upstream_s_training_is_over_at_its_last_step(
    tmp_path: Path, step: int, over: bool
) -> None:
    (tmp_path / "pipeline.config").write_text(TEXT)
    assert run_folder.is_finished(tmp_path, tmp_path / f"ckpt-{step}") is over
    assert not run_folder.is_finished(tmp_path, None)


def test_a_record_of_something_else_is_named(folder: Path) -> None:
    (folder / run_folder.RECORD).write_text("[]")
    with pytest.raises(DataError, match=r"run\.json"):
        run_folder.read(folder)


def test_setting_aside_keeps_the_config_and_everything_else(folder: Path) -> None:
    (folder / "pipeline.config").write_text(TEXT)
    (folder / "ckpt-9.index").touch()
    for number in (1, 2):
        run_folder.record_start(folder, pipeline_config.loads(TEXT), step=0)
        assert run_folder.set_aside(folder) == folder / f"earlier-{number}"
    assert {path.name for path in folder.iterdir()} == {"pipeline.config", "earlier-1", "earlier-2"}
    assert (folder / "earlier-1" / "ckpt-9.index").exists()
    assert run_folder.set_aside(folder) is None

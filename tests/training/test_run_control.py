"""What a training does between its steps: resuming, measuring, recording, surviving.

The trainings are real, and run without a graph (tests/fork_server.py): their numbers are the same,
and a start takes seconds.
"""

import csv
import json
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fork_server import ForkServer
from small_records import write_records
from tfod import small_model

from tfod_kit import pipeline_config
from tfod_kit.core import labels
from tfod_kit.records import example_proto, feature_keys, shards
from tfod_kit.runs import best_checkpoint, checkpoints, run_folder, run_lock, training_history

pytestmark = pytest.mark.slow

MAP = "DetectionBoxes_Precision/mAP"
RATE = "train_config__optimizer__adam_optimizer__learning_rate__cosine_decay_learning_rate"
KILLS = int(os.environ.get("TFOD_KIT_KILLS", "5"))  # 20 are asked for; CI has time for some


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run_control")


@pytest.fixture(scope="module")
def fork_server(folder: Path) -> Iterator[ForkServer]:
    with ForkServer(folder) as made:
        yield made


@pytest.fixture(scope="module")
def records(folder: Path) -> Path:
    return write_records(folder / "records", train=8)


@pytest.fixture(scope="module")
def configured(folder: Path, records: Path) -> Path:
    small_model(records, folder / "configured", "--steps", 6)
    return folder / "configured"


@pytest.fixture(scope="module")
def trained_run(configured: Path, fork_server: ForkServer, folder: Path) -> tuple[Path, str]:
    """A run of 6 steps, saved every 4 and measured every 3; what it printed."""
    run = shutil.copytree(configured, folder / "run")
    options = ("--checkpoint_every", 4, "--evaluate_every", 3, "--summary_every", 2)
    return run, fork_server.train(run, *options, "--best_metric", "mAP@.50IOU", "--seed", 1)


@pytest.fixture
def run(trained_run: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the trained run to change."""
    return shutil.copytree(trained_run[0], tmp_path / "run")


def edit(run: Path, **fields: object) -> None:
    config = pipeline_config.load(run)
    for path, value in fields.items():
        pipeline_config.set_field(config, path.replace("__", "."), str(value))
    pipeline_config.save(config, run / "pipeline.config")


def test_the_history_has_every_point(trained_run: tuple[Path, str]) -> None:
    known = training_history.read(trained_run[0])
    assert [point.step for point in known.train] == [2, 4, 6]
    assert [(point.step, point.split) for point in known.evals] == [(3, "val"), (6, "val")]
    assert known.train[0].losses["Loss/total_loss"] > 0
    assert known.train[-1].steps_per_second > 0
    assert set(known.evals[0].classes) == {"red", "blue"}
    with (trained_run[0] / training_history.TRAIN_TABLE).open(newline="") as stream:
        assert [row["step"] for row in csv.DictReader(stream)] == ["2", "4", "6"]


def test_what_is_measured_is_what_was_saved(trained_run: tuple[Path, str]) -> None:
    run, printed = trained_run
    steps = [checkpoints.number(prefix) for prefix in checkpoints.available(run)]
    assert steps == [3, 6]
    assert [int(step) for step in re.findall(r"^Step (\d+): mAP@.50IOU", printed, re.M)] == [3, 6]
    kept = best_checkpoint.read(run)
    assert kept is not None
    assert kept.metric == f"{MAP}@.50IOU"
    assert kept.value == max(
        point.metrics[kept.metric] for point in training_history.read(run).evals
    )
    chosen = checkpoints.choose(run, "best")
    assert chosen == run / "best" / kept.checkpoint
    for copy in checkpoints.parts(chosen):
        assert copy.read_bytes() == (run / copy.name).read_bytes()


def test_the_run_knows_what_it_was_trained_with(trained_run: tuple[Path, str]) -> None:
    run, _ = trained_run
    known = run_folder.read(run)
    assert known is not None
    assert (known.ended, known.step) == (run_folder.FINISHED, 6)
    assert known.classes == {"1": "red", "2": "blue"}
    (start,) = known.starts
    assert (start.step, start.seed) == (0, 1)
    assert start.versions["tensorflow"]
    assert run_folder.fingerprint(pipeline_config.load(run / run_folder.CONFIG)) == start.config


def test_another_model_is_refused_with_the_difference(run: Path, fork_server: ForkServer) -> None:
    edit(run, model__ssd__feature_extractor__depth_multiplier=0.5)
    before = (run / "checkpoint").read_text()
    printed = fork_server.train(run, "--steps", 8, code=2)
    assert "model.ssd.feature_extractor.depth_multiplier: 0.35 -> 0.5" in printed
    assert "--allow_changed" in printed
    assert (run / "checkpoint").read_text() == before


def test_other_classes_are_refused(run: Path, fork_server: ForkServer, records: Path) -> None:
    labels.save(labels.from_names(("blue", "red")), run / "label_map.pbtxt")
    edit(run, train_input_reader__label_map_path=run / "label_map.pbtxt")
    printed = fork_server.train(run, "--no_check", "--steps", 8, code=2)
    assert "label map, id 1: red -> blue" in printed


def test_allowed_changes_are_reported_and_training_resumes(
    run: Path, fork_server: ForkServer
) -> None:
    edit(run, train_config__num_steps=7, **{f"{RATE}__total_steps": 7})
    edit(run, train_config__batch_size=2, **{f"{RATE}__learning_rate_base": 0.0003})
    printed = fork_server.train(run, "--no_evaluate", "--resume", "must")
    changed = re.findall(r"^Changed since .*: train_config\.([\w.]+): .* -> (.*)", printed, re.M)
    assert changed == [
        ("batch_size", "2"),
        (f"{RATE.removeprefix('train_config__').replace('__', '.')}.learning_rate_base", "0.0003"),
    ]
    assert "Finished at step 7: 1 steps" in printed
    assert [point.step for point in training_history.read(run).train] == [2, 4, 6, 7]
    known = run_folder.read(run)
    assert known is not None
    assert [start.step for start in known.starts] == [0, 6]


def test_points_after_the_resumed_step_are_replaced(run: Path, fork_server: ForkServer) -> None:
    index = run / "ckpt-6.index"
    index.write_bytes(index.read_bytes()[:-100])
    printed = fork_server.train(run, "--steps", 4, "--no_evaluate", "--summary_every", 1)
    assert "ckpt-6 is damaged and skipped" in printed
    known = training_history.read(run)
    assert [point.step for point in known.train] == [2, 4]
    assert [point.step for point in known.evals] == [3]


def test_a_resumed_run_goes_on_mixing_images_as_before(run: Path, fork_server: ForkServer) -> None:
    first = fork_server.train(run, "--steps", 10, "--mosaic", 0.5, "--no_evaluate")
    assert "Mixing images for 80% of the steps: mosaic 0.5" in first
    assert "Step 8: images are no longer mixed" in first
    again = fork_server.train(run, "--steps", 20, "--mixup", 0.1, "--no_evaluate")
    assert "Mixing images for 80% of the steps: mosaic 0.5, mixup 0.1" in again
    known = run_folder.read(run)
    assert known is not None
    assert [dict(start.mixing) for start in known.starts] == [
        {},
        {"mosaic": 0.5},
        {"mosaic": 0.5, "mixup": 0.1},
    ]


def test_a_long_fine_tuning_mixes_images_by_itself(
    run: Path, records: Path, tmp_path: Path, fork_server: ForkServer
) -> None:
    tuned = tmp_path / "tuned"
    small_model(records, tuned, "--checkpoint", run, "--steps", 60)
    printed = fork_server.train(tuned, "--no_evaluate")
    assert "mosaic 0.5, since each is seen 30 times" in printed
    assert "Step 48: images are no longer mixed" in printed
    # The padding of their boxes would slow the training down.
    trained = pipeline_config.load(tuned / "trained.config")
    assert trained.train_config.unpad_groundtruth_tensors
    config = pipeline_config.load(tuned / "pipeline.config")
    assert not config.train_config.unpad_groundtruth_tensors


def test_resume_must_requires_a_checkpoint(
    configured: Path, tmp_path: Path, fork_server: ForkServer
) -> None:
    empty = shutil.copytree(configured, tmp_path / "run")
    assert "nothing to resume" in fork_server.train(empty, "--resume", "must", code=2)


def test_resume_never_sets_aside_what_is_there(run: Path, fork_server: ForkServer) -> None:
    left = {path.name for path in run.iterdir()} - {"pipeline.config", run_lock.FILE_NAME}
    printed = fork_server.train(run, "--resume", "never", "--steps", 1, "--no_evaluate")
    assert "Starting from scratch" in printed
    assert {path.name for path in (run / "earlier-1").iterdir()} == left
    assert [prefix.name for prefix in checkpoints.available(run)] == ["ckpt-1"]
    assert not (run / "best").exists()


def test_a_training_without_improvement_stops_early(run: Path, fork_server: ForkServer) -> None:
    """The six steps count: the patience of a resumed run is that of the whole run."""
    options = ("--steps", 90, "--evaluate_every", "0.5epoch", "--patience", 2, "--min_delta", 1)
    printed = fork_server.train(run, *options)
    assert "Stopped early at step 7" in printed
    known = run_folder.read(run)
    assert known is not None
    assert known.ended == run_folder.STOPPED_EARLY


def test_an_unknown_metric_is_refused_before_training(run: Path, fork_server: ForkServer) -> None:
    printed = fork_server.train(run, "--steps", 8, "--best_metric", "map50", code=2)
    assert "Did you mean" in printed
    assert "Resuming" not in printed


def test_each_new_checkpoint_is_measured_until_the_training_is_over(
    run: Path, fork_server: ForkServer
) -> None:
    shutil.rmtree(run / "best")
    (run / training_history.FILE_NAME).unlink()
    printed = fork_server.train(run, "--continuous", "--timeout", 60, verb="evaluate")
    assert "Step 6: mAP" in printed
    assert "the best so far" in printed
    assert [point.step for point in training_history.read(run).evals] == [6]
    assert checkpoints.choose(run, "best").name == "ckpt-6"


def shard(records: Path) -> Path:
    return next(records.glob("train-*"))


@pytest.fixture
def damaged(tmp_path: Path, configured: Path, records: Path) -> Path:
    """A run whose third record has a flipped byte and whose sixth a picture that is none."""
    rows = list(shards.read(shard(records)))
    copy = tmp_path / "records" / shard(records).name
    features = example_proto.read_features(rows[5])
    encoded = bytes(features[feature_keys.ENCODED][1][0])
    rows[5] = rows[5].replace(encoded, bytes(20) + encoded[20:])
    shards.write(copy, rows)
    data = bytearray(copy.read_bytes())
    data[sum(len(row) + 16 for row in rows[:2]) + 500] ^= 1
    copy.write_bytes(data)
    run = shutil.copytree(configured, tmp_path / "run")
    config = pipeline_config.load(run)
    config.train_input_reader.tf_record_input_reader.input_path[:] = [str(copy)]
    pipeline_config.save(config, run / "pipeline.config")
    return run


def test_bad_records_are_named_or_skipped_and_counted(
    damaged: Path, fork_server: ForkServer
) -> None:
    printed = fork_server.train(damaged, "--no_check", "--no_evaluate", code=2)
    assert f"{shard(damaged.parent / 'records')}, record 2" in printed
    assert "checksum" in printed
    assert "--skip_bad_records" in printed
    printed = fork_server.train(
        damaged, "--no_evaluate", "--skip_bad_records", "--summary_every", 1
    )
    assert "record 2: its checksum does not match" in printed
    assert "record 5: its image cannot be decoded" in printed
    assert "Skipped:     2 bad records" in printed
    assert training_history.read(damaged).train[-1].skipped_records == 2


def test_a_file_without_a_good_record_ends_instead_of_hanging(
    damaged: Path, fork_server: ForkServer
) -> None:
    shards.write(shard(damaged.parent / "records"), [b"no example", b"nor this"])
    printed = fork_server.train(damaged, "--no_evaluate", "--skip_bad_records", code=2)
    assert "No record can be used" in printed


def test_a_loss_that_is_not_finite_names_its_images(
    configured: Path, tmp_path: Path, fork_server: ForkServer
) -> None:
    run = shutil.copytree(configured, tmp_path / "run")
    edit(run, **{f"{RATE}__learning_rate_base": 1e38, f"{RATE}__warmup_learning_rate": 1e38})
    printed = fork_server.train(run, "--no_check", "--no_evaluate", "--summary_every", 100, code=2)
    assert re.search(r"is not a finite number at step [2-5]\.", printed)
    assert re.search(r"learning rate [\d.]+e\+3\d", printed)
    named = re.findall(r"train(\d) \(train-00000-of-00001\.tfrecord, record (\d)\)", printed)
    assert 1 <= len(named) <= 4  # one picture may be in a batch twice
    assert all(name == record for name, record in named)
    assert "divide it by 10" in printed


def test_a_full_disk_leaves_the_old_checkpoint_and_resumes(
    run: Path, fork_server: ForkServer
) -> None:
    """No file can grow over a megabyte: the checkpoint's data do not fit."""
    options = ("--steps", 8, "--no_evaluate")
    printed = fork_server.train(run, *options, code=2, largest_file=2**20)
    assert "The checkpoint cannot be saved" in printed
    assert "free space" in printed
    assert [path.name for path in checkpoints.available(run)] == ["ckpt-3", "ckpt-6"]
    assert not list(run.glob("ckpt-8*"))
    assert "Finished at step 8: 2 steps" in fork_server.train(run, *options)


def test_a_run_killed_at_random_moments_always_resumes(
    configured: Path, tmp_path: Path, fork_server: ForkServer
) -> None:
    """At most one interval between two checkpoints is lost, and the last step is reached."""
    run = shutil.copytree(configured, tmp_path / "run")
    every = 2
    options = ("--checkpoint_every", every, "--summary_every", 1, "--no_evaluate")
    dice = random.Random(os.environ.get("TFOD_KIT_SEED", "kill"))
    reached = 0
    for attempt in range(KILLS):
        training = fork_server.start(run, "--steps", 10_000, *options)
        if attempt % 4:  # every fourth is killed somewhere in its start
            assert training.wait_for("Building the graph"), training.printed
        time.sleep(dice.uniform(0, 2.5))
        training.kill()
        assert training.wait() == -9, training.printed
        resumed = re.search(r"Resuming at step (\d+)", training.printed)
        if resumed:
            assert reached - int(resumed[1]) <= every, training.printed
            reached = int(resumed[1])
        reached = max([reached, *(point.step for point in training_history.read(run).train)])
    printed = fork_server.train(run, "--steps", reached + 1, *options)
    assert f"Finished at step {reached + 1}:" in printed
    steps = [point.step for point in training_history.read(run).train]
    assert steps == list(range(1, reached + 2))
    assert json.loads((run / "run.json").read_text())["ended"] == "finished"

"""Several workers train one model: who takes part, and that on loopback they do as one does."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_records import write_records
from tfod import ENVIRONMENT, small_model, tfod

from tfod_kit import pipeline_config
from tfod_kit.errors import DataError, UsageError
from tfod_kit.io import resources
from tfod_kit.records import shards
from tfod_kit.runs import checkpoints, training_history
from tfod_kit.training.workers import Cluster, check_shards, from_environment


def config(document: object) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps(document)}


def test_a_cluster_in_the_environment_is_found() -> None:
    workers = {"worker": ["a:1", "b:2"]}
    found = from_environment(config({"cluster": workers, "task": {"type": "worker", "index": 1}}))
    assert found == Cluster(("a:1", "b:2"), 1)
    # As Kubeflow and Vertex AI set it, the chief comes first.
    tasks = {"chief": ["c:1"], "worker": ["a:1", "b:2"]}
    found = from_environment(config({"cluster": tasks, "task": {"type": "worker", "index": 1}}))
    assert found == Cluster(("c:1", "a:1", "b:2"), 2)
    found = from_environment(config({"cluster": tasks, "task": {"type": "chief", "index": 0}}))
    assert found is not None
    assert found.leads


@pytest.mark.parametrize("text", ["", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {}}'])
def test_one_alone_is_no_cluster(text: str) -> None:
    assert from_environment({"TF_CONFIG": text}) is None


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}, "task": {"type": "worker"}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "evaluator", "index": 0}}',
    ],
)
def test_an_unsupported_cluster_is_reported(text: str) -> None:
    with pytest.raises(UsageError, match="TF_CONFIG"):
        from_environment({"TF_CONFIG": text})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", "a:1,b"), "list of workers is invalid"),
        (("--workers", "a:1,a:1"), "list of workers is invalid"),
        (("--workers", "a:1"), "list of workers is invalid"),
        (("--workers", "a:1,b:1", "--worker_index", 2), "no worker with this index"),
        (("--worker_index", 0), "--worker_index needs --workers"),
        (("--local_workers", 1), "needs no --local_workers"),
        (("--local_workers", 2, "--tpu", "x"), "exclude each other"),
        (("--local_workers", 2), "fewer record files than workers"),
    ],
)
def test_mistakes_are_reported_before_anything_starts(
    tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    records = write_records(tmp_path / "records")
    small_model(records, tmp_path / "run")
    index = ("--worker_index", 0) if options[0] == "--workers" and len(options) == 2 else ()
    assert message in tfod("train", tmp_path / "run", *options, *index, code=2)


def test_each_worker_needs_a_record_file(tmp_path: Path) -> None:
    write_records(tmp_path / "records", train=1, val=0)
    config = pipeline_config.load(resources.pipelines() / "ssd_mobilenet_v2_cpu.config")
    paths = config.train_input_reader.tf_record_input_reader.input_path
    paths[:] = [str(tmp_path / "records" / "train-*")]
    check_shards(config.train_input_reader, 1)
    with pytest.raises(DataError, match="--shards 2"):
        check_shards(config.train_input_reader, 2)
    paths.append("gs://bucket/more-*")  # TensorFlow's to list
    check_shards(config.train_input_reader, 2)


@pytest.mark.slow
def test_two_workers_come_to_what_one_comes_to_and_outlive_a_kill(tmp_path: Path) -> None:
    """Where each worker sees what one alone would see, the losses from one checkpoint on are the
    same; killed in the middle, the training resumes, and they still are."""
    records = alike(tmp_path / "records")
    together, alone = tmp_path / "together", tmp_path / "alone"
    in_order = ("--set", "train_input_reader.shuffle=false")
    small_model(records, alone, "--augment", "none", *in_order)
    use_momentum(alone / pipeline_config.FILE_NAME)
    options = ("--no_evaluate", "--summary_every", 1, "--checkpoint_every", 3)
    tfod("train", alone, "--steps", 8, *options)
    shutil.copytree(alone, together)
    for later in checkpoints.available(together)[1:]:
        for part in checkpoints.parts(later):
            part.unlink()

    printed = killed_after_a_checkpoint(together, ("--steps", 5000, *options))
    assert "Resuming at step 3" in printed
    assert "Worker 1 is gone" in printed
    assert "SIGKILL" in printed
    assert "resumes from the last checkpoint" in printed
    assert "Traceback" not in printed

    saved = checkpoints.number(checkpoints.available(together)[-1])
    assert saved == 6
    printed = tfod("train", together, "--local_workers", 2, "--steps", 8, *options)
    assert f"Resuming at step {saved}" in printed
    assert "Finished at step 8" in printed
    ours, theirs = (
        {point.step: point.losses["Loss/total_loss"] for point in training_history.read(run).train}
        for run in (together, alone)
    )
    assert sorted(ours) == list(range(1, 9))
    # With the same weights, the same loss. After an update rounding tells: another order of the
    # pictures in the batches of one worker was seen to change the losses by 2% at step 8.
    assert ours[4] == pytest.approx(theirs[4], rel=1e-5)
    assert ours == pytest.approx(theirs, rel=5e-2)
    assert ours[8] < ours[1]


def use_momentum(path: Path) -> None:
    """Adam would make steps of full size of differences in the last digit."""
    config = pipeline_config.load(path)
    rate = config.train_config.optimizer.momentum_optimizer.learning_rate
    rate.constant_learning_rate.learning_rate = 0.001
    pipeline_config.save(config, path)


def alike(folder: Path) -> Path:
    """Two files of records, each with the same two pictures by turns: every batch of one worker
    or of two holds as many of the one as of the other. (With a single picture, batch
    normalisation would divide by a variance of nothing.)"""
    write_records(folder, train=2, val=1)
    (only,) = shards.match(str(folder / "train-*"))
    pair = list(shards.read(only))
    only.unlink()
    for index in range(2):
        shards.write(folder / shards.name("train", index, 2), pair * 4)
    return folder


def killed_after_a_checkpoint(run: Path, options: tuple[object, ...]) -> str:
    """Starts two workers, kills the second one once there is a checkpoint; what was printed."""
    command = [sys.executable, "-m", "tfod_kit", "train", str(run), "--local_workers", "2"]
    with subprocess.Popen(
        [*command, *map(str, options)],
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as started:
        deadline = time.monotonic() + 600
        while len(checkpoints.available(run)) < 2 and started.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        if started.poll() is None:
            os.kill(second_worker(started.pid), signal.SIGKILL)
        printed, _ = started.communicate(timeout=60)
    assert started.returncode == 2, printed
    return printed


def second_worker(parent: int) -> int:
    """The process that a parent started as worker 1."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in map(int, children):
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if b"--worker_index" in words and words[words.index(b"--worker_index") + 1] == b"1":
            return child
    raise AssertionError("there is no second worker")

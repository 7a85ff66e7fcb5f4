"""How long a training takes: in steps, in epochs, in minutes."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fork_server import ForkServer
from small_records import write_records
from tfod import small_model

from tfod_kit import pipeline_config
from tfod_kit.errors import UsageError
from tfod_kit.io import resources
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.runs import training_history
from tfod_kit.training import step_plan
from tfod_kit.training.measuring import Interval
from tfod_kit.training.mixing import MixingOptions
from tfod_kit.training.options import TrainOptions
from tfod_kit.training.step_options import StepOptions
from tfod_kit.training.step_plan import TimedPlan
from tfod_kit.training.train import _with_mixing, train


def mixing_of(config: PipelineConfig, steps: int, **options: Any) -> tuple[dict[str, float], int]:
    """The probabilities of a new training on 200 images, and the steps that they need."""
    settled = _with_mixing(TrainOptions(**options), config, steps, 200, None)
    return settled.step_options.mixing.used, settled.mixing_steps


def test_a_fine_tuning_that_sees_images_often_mixes_them(capsys: Any) -> None:
    config = pipeline_config.load(resources.pipelines() / "ssd_mobilenet_v2_fpnlite.config")
    config.train_config.batch_size = 8
    config.train_config.fine_tune_checkpoint = "ckpt-0"
    assert mixing_of(config, 750) == ({"mosaic": 0.5}, 0)
    printed = capsys.readouterr().out
    assert (
        "80% of the steps: mosaic 0.5, since each is seen 30 times (--mosaic 0: never)" in printed
    )
    assert mixing_of(config, 749) == ({}, 0)
    # How often is known once the steps are timed.
    assert mixing_of(config, 10, minutes=5.0) == ({"mosaic": 0.5}, 750)
    for given in (MixingOptions(mosaic=0.0), MixingOptions(mixup=0.0)):
        assert mixing_of(config, 750, step_options=StepOptions(mixing=given)) == ({}, 0)
    assert mixing_of(config, 750, tpu="local") == ({}, 0)
    config.train_config.fine_tune_checkpoint = ""
    assert mixing_of(config, 750) == ({}, 0), "not measured from random weights"
    config.train_config.fine_tune_checkpoint = "ckpt-0"
    config.train_input_reader.load_instance_masks = True
    assert mixing_of(config, 750) == ({}, 0), "not measured with masks"


class Clock:
    """Replaces time.monotonic: stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(step_plan.time, "monotonic", made)
    return made


def trained_for(clock: Clock, minutes: float, seconds: list[float]) -> tuple[int, list[int]]:
    """Takes steps of these durations, the last one again and again; returns step and plans."""
    plans: list[int] = []
    plan = TimedPlan(minutes, 400, clock.now, plans.append)
    clock.now += 30  # TensorFlow and the graph
    plan.begin(1)
    step = 1
    while step < plan.steps:
        clock.now += seconds[min(step - 1, len(seconds) - 1)]
        step += 1
        plan.update(step, final_seconds=10)
    return step, plans


@pytest.mark.parametrize(("second", "expected"), [(0.5, 521), (2.0, 131), (20.0, 14)])
def test_as_many_steps_as_fit(clock: Clock, second: float, expected: int) -> None:
    began = clock.now
    step, plans = trained_for(clock, 5, [second])
    assert step == expected, "after 30 s of building, before 10 s of measuring"
    assert clock.now - began <= 5 * 60 - 10
    assert plans[-1] == step, "the schedule ends with the last step"


def test_a_machine_that_becomes_slower_still_ends_in_time(clock: Clock) -> None:
    began = clock.now
    step, plans = trained_for(clock, 5, [0.5] * 200 + [1.5])
    assert 5 * 60 - 25 < clock.now - began < 5 * 60
    assert plans[0] == 521
    assert plans[-1] == step < 350


def test_the_schedule_is_stretched_a_few_times_only(clock: Clock) -> None:
    _, plans = trained_for(clock, 10, [0.3, 0.31, 0.29] * 1000)
    assert len(plans) < 100


def test_too_little_time_for_a_step_is_one_message(clock: Clock) -> None:
    plan = TimedPlan(0.5, 400, clock.now, lambda steps: None)
    clock.now += 40
    with pytest.raises(UsageError, match="first step ended after 40 s") as caught:
        plan.begin(1)
    assert "--minutes 5 or more" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TrainOptions(minutes=5, steps=10), "--steps and --minutes exclude"),
        (TrainOptions(minutes=5, epochs=1), "--epochs and --minutes exclude"),
        (TrainOptions(minutes=5, tpu="local"), "one machine"),
    ],
)
def test_lengths_that_cannot_be(tmp_path: Path, options: TrainOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        train(tmp_path / "pipeline.config", options)


# ---- measuring after an epoch --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "seconds", "costs", "expected"),
    [
        (50, 1.0, [], True),  # 10 steps' images: forward they take as long as 5 steps
        (49, 999.0, [], False),
        (50, 1.0, [30.0], True),  # the first measurement built a graph
        (1, 100.0, [30.0, 10.0], True),
        (1, 99.0, [30.0, 10.0], False),
    ],
)
def test_measuring_takes_a_tenth_of_the_time_at_most(
    steps: int, seconds: float, costs: list[float], expected: bool
) -> None:
    assert Interval(25, images=10).affordable(steps, seconds, costs) is expected
    assert Interval(25).affordable(steps, seconds, costs), "the user asked for it"


# ---- real trainings ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("length")


@pytest.fixture(scope="module")
def fork_server(folder: Path) -> Iterator[ForkServer]:
    with ForkServer(folder) as made:
        yield made


@pytest.fixture(scope="module")
def configured(folder: Path) -> Path:
    records = write_records(folder / "records", train=8)
    small_model(records, folder / "configured", "--steps", 6)
    return folder / "configured"


def rates(run: Path) -> list[float]:
    return [point.learning_rate for point in training_history.read(run).train]


@pytest.mark.slow
def test_minutes_end_with_a_finished_schedule(
    configured: Path, fork_server: ForkServer, tmp_path: Path
) -> None:
    run = shutil.copytree(configured, tmp_path / "run")
    printed = fork_server.train(run, "--minutes", 1.5, "--summary_every", 1, "--no_evaluate")
    ended = re.search(r"Finished at step ([\d,]+): .* steps in (\d+) s", printed)
    assert ended is not None, printed
    steps = int(ended[1].replace(",", ""))
    assert steps > 6, "more than the config's six steps fit"
    assert 30 < int(ended[2]) < 100, "of 90 s, of which the start takes some"
    config = pipeline_config.load(run)
    rate = config.train_config.optimizer.adam_optimizer.learning_rate.cosine_decay_learning_rate
    assert config.train_config.num_steps == rate.total_steps == steps
    measured = rates(run)
    assert measured[-1] < 0.15 * max(measured), measured
    assert max(measured) > 0.9 * rate.learning_rate_base


@pytest.mark.slow
def test_epochs(configured: Path, fork_server: ForkServer, tmp_path: Path) -> None:
    run = shutil.copytree(configured, tmp_path / "run")
    printed = fork_server.train(run, "--epochs", 1.5, "--no_evaluate", "--no_check")
    assert "Finished at step 3" in printed, "12 images in batches of 4"

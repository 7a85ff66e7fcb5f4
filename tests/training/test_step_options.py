"""How step options change a config and the steps; tests/take_steps.py takes the steps."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_records import write_records
from tfod import ENVIRONMENT, small_model, tfod

from tfod_kit import pipeline_config
from tfod_kit.doors import arguments
from tfod_kit.doors.steps import StepArguments
from tfod_kit.doors.steps import step_options as options_of
from tfod_kit.errors import UsageError
from tfod_kit.io import hardware
from tfod_kit.records import shards
from tfod_kit.training import batch_size, dataset, lr_finder, step_options
from tfod_kit.training.lr_finder import Sweep
from tfod_kit.training.step_options import StepOptions

PROGRAM = Path(__file__).resolve().parents[1] / "take_steps.py"
FROZEN = "_feature_extractor/classification_backbone/layer_with_weights-1/"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("options")
    records = write_records(folder / "records", train=8)
    small_model(records, folder / "run", "--steps", 50)
    return folder / "run"


@pytest.fixture(scope="module")
def config(run: Path) -> Any:
    return pipeline_config.load(run / "pipeline.config")


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (StepOptions(ema=0.99), "train_config.optimizer.use_moving_average", True),
        (StepOptions(ema=0.5), "train_config.optimizer.moving_average_decay", 0.5),
        (StepOptions(freeze=("a", "b", "a")), "train_config.freeze_variables", ["a", "b"]),
        (StepOptions(clip_norm=3.0), "train_config.gradient_clipping_by_norm", 3.0),
        (StepOptions(batch_size=2), "train_config.batch_size", 2),
        (StepOptions(xla=True), "train_config.unpad_groundtruth_tensors", False),
        (StepOptions(input_workers=3), "train_input_reader.num_readers", 3),
    ],
)
def test_options_for_which_the_config_has_a_field(
    config: Any, options: StepOptions, field: str, value: object
) -> None:
    found = pipeline_config.get_field(step_options.applied(options, config), field)
    assert (list(found) if isinstance(value, list) else found) == value


def test_a_config_that_is_left_alone_stays_as_it_is(config: Any) -> None:
    assert step_options.applied(StepOptions(), config) == config


@pytest.mark.parametrize(
    ("options", "factor"),
    [
        (StepOptions(batch_size=2, accumulate=2), 1),  # the same images a step
        (StepOptions(accumulate=3), 3),
        (StepOptions(batch_size=2), 0.5),
    ],
)
def test_the_learning_rate_follows_the_images_of_a_step(
    config: Any, options: StepOptions, factor: float
) -> None:
    before = pipeline_config.learning_rate(config)
    after = pipeline_config.learning_rate(step_options.applied(options, config))
    assert after == pytest.approx(factor * before)


def test_arguments_become_step_options() -> None:
    parser = argparse.ArgumentParser()
    arguments.add_to(parser, StepArguments)
    words = "--accumulate 4 --freeze a --freeze b --ema 0.9 --precision bfloat16 --cache memory"
    assert options_of(
        arguments.parsed(StepArguments, parser.parse_args(words.split()))
    ) == StepOptions(accumulate=4, freeze=("a", "b"), ema=0.9, precision="bfloat16", cache="memory")
    assert options_of(arguments.parsed(StepArguments, parser.parse_args([]))) == StepOptions(
        cache="auto"
    )


@pytest.mark.parametrize(
    ("fitted", "taken"), [(1, 1), (2, 1), (4, 2), (8, 6), (16, 12), (64, 54), (1024, 870)]
)
def test_a_batch_size_stays_below_the_largest_that_fitted(fitted: int, taken: int) -> None:
    assert batch_size.safe(fitted) == taken


def test_only_an_automatic_batch_size_is_looked_for(run: Path) -> None:
    given = StepOptions(batch_size=3)
    assert batch_size.settled(given, run / "pipeline.config") is given


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--ema 1", "not between 0 and 1"),
        ("--freeze [", "not a regular expression"),
        ("--clip_norm -1", "not 0 or more"),
        ("--clip_value x", "not a number"),
        ("--accumulate 0", "below 1"),
    ],
)
def test_options_that_mean_nothing(run: Path, words: str, message: str) -> None:
    assert message in tfod("train", run, *words.split(), code=2)


def sweep(*losses: float) -> Sweep:
    rates = tuple(1e-4 * 10 ** (place / 10) for place in range(len(losses)))
    return Sweep(rates, losses, tuple(lr_finder.smoothed(losses)), present=0.1)


def test_the_smoothed_loss_starts_at_the_first_and_forgets_it() -> None:
    means = list(lr_finder.smoothed([4.0, 4.0, *[1.0] * 60]))
    assert means[:2] == pytest.approx([4.0, 4.0])
    assert means[-1] == pytest.approx(1.0, abs=0.02)


def test_the_suggestion_is_a_tenth_of_the_rate_with_the_lowest_loss() -> None:
    found = sweep(*[5.0] * 10, *[5 - 0.2 * n for n in range(20)], *[9.0] * 10)
    assert found.lowest == 29
    assert found.suggestion == pytest.approx(found.rates[29] / 10, rel=0.3)


@pytest.mark.parametrize("losses", [[1.0] * 30, [1.0 + n for n in range(30)], [1.0, 0.5]])
def test_no_suggestion_where_no_rate_helped(losses: list[float]) -> None:
    assert sweep(*losses).suggestion is None


def test_a_cache_is_chosen_only_if_the_images_fit(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = pipeline_config.load(run / "pipeline.config").train_input_reader
    given = StepOptions(cache="auto")
    needed = 3 * 128 * 128 * sum(map(shards.count, pipeline_config.record_files(reader)))
    monkeypatch.setattr(dataset.hardware, "memory", lambda: 4 * needed)
    options, note = dataset.settled(given, reader, whole=True)
    assert options.cache == "memory"
    assert "stay in memory" in note
    monkeypatch.setattr(dataset.hardware, "memory", lambda: 4 * needed - 4)
    assert dataset.settled(given, reader, whole=True) == (StepOptions(cache=None), "")
    monkeypatch.setattr(dataset.hardware, "memory", lambda: 4 * needed)
    assert dataset.settled(given, reader, whole=False)[0].cache is None, "one of several replicas"
    assert dataset.settled(StepOptions(), reader, whole=True)[0].cache is None, "not asked for"


def test_images_that_do_not_fit_into_memory_are_not_cached(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = 8 * 3 * 128 * 128
    monkeypatch.setattr(dataset.hardware, "memory", lambda: pictures)
    with pytest.raises(UsageError, match="--cache PATH"):
        dataset.check_memory(StepOptions(cache="memory"), config.train_input_reader)
    monkeypatch.setattr(dataset.hardware, "memory", lambda: 2 * pictures)
    dataset.check_memory(StepOptions(cache="memory"), config.train_input_reader)


def test_a_cache_belongs_to_its_records(tmp_path: Path) -> None:
    records = write_records(tmp_path / "records")
    files = sorted(records.glob("train-*"))
    first = dataset._cache_file(tmp_path / "cache" / "pictures", files, 0)
    Path(f"{first}_0.lockfile").touch()  # as a killed training leaves it
    assert dataset._cache_file(tmp_path / "cache" / "pictures", files, 0) == first
    assert not Path(f"{first}_0.lockfile").exists()
    files[0].write_bytes(files[0].read_bytes() * 2)
    assert dataset._cache_file(tmp_path / "cache" / "pictures", files, 0) != first


@pytest.mark.slow
@pytest.mark.skipif(hardware.gpu_memory() is not None, reason="for machines without a GPU")
@pytest.mark.parametrize(
    ("words", "message"),
    [("--batch_size auto", "TensorFlow sees none"), ("--precision float16", "is for GPUs")],
)
def test_what_needs_a_gpu_is_refused_without_one(run: Path, words: str, message: str) -> None:
    assert message in tfod("train", run, *words.split(), code=2)


@pytest.fixture(scope="module")
def taken(run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(run), str(tmp_path_factory.mktemp("taken"))],
        env=ENVIRONMENT,
        text=True,
        capture_output=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return results | {"printed": done.stdout}


@pytest.mark.slow
def test_two_deterministic_trainings_have_the_same_losses(taken: dict[str, Any]) -> None:
    assert taken["once"] == taken["again"]
    assert len(set(taken["once"])) == 3


@pytest.mark.slow
def test_frozen_variables_stay_with_their_averages_and_the_others_move(
    taken: dict[str, Any],
) -> None:
    frozen = [name for name in taken["all"] if FROZEN in name]
    assert len(frozen) == 4
    assert not set(frozen) & set(taken["moved"])
    assert len(taken["moved"]) > 300
    assert any(name.endswith("moving_mean") for name in taken["moved"])
    assert "Frozen: 2 variables" in taken["printed"]
    assert "the averages of 1 batch normalisations" in taken["printed"]


@pytest.mark.slow
def test_averages_follow_the_weights_and_take_their_place(taken: dict[str, Any]) -> None:
    assert taken["average_error"] < 1e-6
    assert taken["average_distance"] > 1e-6
    assert taken["put_back"]
    assert taken["deployed_error"] == 0
    assert taken["done"] == 3  # optimiser steps, of two batches each


@pytest.mark.slow
def test_gradients_are_upstreams_and_those_of_halves_are_those_of_the_whole(
    taken: dict[str, Any],
) -> None:
    assert taken["ours"] < 1e-5
    assert taken["split"] < 1e-4

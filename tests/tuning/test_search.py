"""Searches with Optuna itself, in an environment on top of this one.

Most of them have a training that takes no time; one has that of the kit.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import extra_packages
import pytest
from small_records import write_records
from tfod import ENVIRONMENT, small_model

import tfod_kit
from tfod_kit import pipeline_config

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("searching.py")


@pytest.fixture(scope="module")
def python() -> list[str]:
    return extra_packages.python(*extra_packages.SEARCH)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    records = write_records(tmp_path / "records")
    tfod_kit.configure("ssd_cpu", records=records, out=tmp_path / "run", learning_rate=0.03)
    return tmp_path / "run"


def _start(python: list[str], run: Path, **options: Any) -> "subprocess.Popen[str]":
    words = [*python, str(PROGRAM), str(run), json.dumps(options)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT)


def _search(python: list[str], run: Path, **options: Any) -> dict[str, Any]:
    process = _start(python, run, **options)
    printed, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    result: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return result


def _states(result: dict[str, Any]) -> list[str]:
    return [one["state"] for one in result["trials"]]


def test_it_finds_a_better_rate_and_writes_it_as_a_run(python: list[str], run: Path) -> None:
    result = _search(python, run, trials=14, do={"2": "fail"})
    first, best = result["trials"][0], result["trials"][result["best"]]
    assert first["values"]["rate"] == pytest.approx(0.03), "the first trial is the config as it is"
    assert best["value"] > first["value"]
    assert best["value"] == max(one["value"] or 0 for one in result["trials"])
    states = _states(result)
    assert states[2] == "failed"
    assert result["trials"][2]["error"] == "out of memory"
    assert states.count("pruned") > 0, "the rates that are far off are ended early"
    assert states.count("complete") + states.count("pruned") == 13
    written = pipeline_config.load(run / "tune" / "best" / "pipeline.config")
    assert pipeline_config.learning_rate(written) == pytest.approx(best["values"]["rate"], 1e-5)
    original = pipeline_config.load(run / "pipeline.config")
    assert written.train_config.num_steps == original.train_config.num_steps
    trial = pipeline_config.load(run / "tune" / "trial-003" / "pipeline.config")
    assert trial.train_config.num_steps == 50
    document = json.loads((run / "tune" / "tune.json").read_text())
    assert document["best"] == result["best"]
    assert len(document["trials"]) == 14
    assert "How much each matters" in (run / "tune" / "tune.html").read_text()
    assert f"in trial {result['best']:03}; as configured" in result["printed"]


def test_it_resumes_and_refuses_what_cannot_be_compared(python: list[str], run: Path) -> None:
    before = _search(python, run, trials=2)
    after = _search(python, run, trials=4)
    assert after["trials"][:2] == before["trials"]
    assert [one["number"] for one in after["trials"]] == [0, 1, 2, 3]
    assert len({one["values"]["rate"] for one in after["trials"]}) == 4, "nothing is tried twice"
    process = _start(python, run, trials=5, steps=60)
    _, errors = process.communicate(timeout=900)
    assert process.returncode
    assert "length: 50 steps -> 60 steps" in errors


@pytest.mark.parametrize(
    ("action", "state"), [("interrupt", "interrupted"), ("die", "interrupted")]
)
def test_what_was_interrupted_or_killed_is_tried_again(
    python: list[str], run: Path, action: str, state: str
) -> None:
    process = _start(python, run, trials=3, do={"1": action})
    printed, _ = process.communicate(timeout=900)
    if action == "interrupt":
        assert process.returncode == 0
        stopped = json.loads(printed.splitlines()[-1])
        assert _states(stopped) == ["complete", "interrupted"]
        assert "to go on" in stopped["printed"]
    result = _search(python, run, trials=3)
    assert _states(result)[1] == state
    assert [s for s in _states(result) if s != state] == ["complete"] * 3
    assert result["trials"][2]["values"] == result["trials"][1]["values"]


def test_two_processes_share_one_search(python: list[str], run: Path) -> None:
    processes = [_start(python, run, trials=6, seconds=1.0) for _ in range(2)]
    results = [process.communicate(timeout=900) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    lines = [json.loads(printed.splitlines()[-1])["lines"] for printed, _ in results]
    begun = [line[:9] for each in lines for line in each if line.startswith("Trial")]
    assert sorted(begun) == [f"Trial {number:03}" for number in range(6)]
    assert all(any(line.startswith("Trial") for line in each) for each in lines), "both worked"


def test_a_search_whose_first_trials_all_fail_is_given_up(python: list[str], run: Path) -> None:
    process = _start(python, run, trials=9, do={str(number): "fail" for number in range(9)})
    _, errors = process.communicate(timeout=900)
    assert process.returncode
    assert "its first 3 trials failed" in errors
    assert len(list((run / "tune").glob("trial-*"))) == 3


def test_the_kits_own_training_is_searched_and_ctrl_c_ends_it(
    python: list[str], tmp_path: Path
) -> None:
    small_model(write_records(tmp_path / "records"), tmp_path / "run")
    words = [*python, "-m", "tfod_kit", "tune", str(tmp_path / "run"), "--steps", "4", "--no_check"]
    done = subprocess.run(
        [*words, "--trials", "1", "--search", "rate"],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    assert "Trial 000" in done.stdout
    assert (tmp_path / "run" / "tune" / "trial-000" / "best" / "best.json").is_file()
    document = json.loads((tmp_path / "run" / "tune" / "tune.json").read_text())
    (trial,) = document["trials"]
    assert trial["state"] == "complete"
    assert trial["evaluations"].keys() <= {str(rung) for rung in range(1, 11)}
    assert trial["evaluations"]
    process = subprocess.Popen(
        [*words, "--trials", "2", "--search", "rate"], stdout=subprocess.PIPE, text=True,
        env=ENVIRONMENT, start_new_session=True,
    )  # fmt: skip
    log = tmp_path / "run" / "tune" / "trial-001" / "train.log"
    for _ in range(1200):
        if log.is_file() and "Training" in log.read_text():
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=900)
    assert process.returncode == 0, printed
    assert "1 complete, 1 interrupted" in printed

"""The page of a search, its best trial, and the length of trials."""

import pytest

from tfod_kit.tuning import Length, Trial, page
from tfod_kit.tuning.results import COMPLETE, FAILED, PRUNED, STOPPED, best

TRIALS = [
    Trial(0, COMPLETE, {"rate": 0.01, "augment": "none"}, 0.40, {2: 0.1, 10: 0.4}, 60.0),
    Trial(1, PRUNED, {"rate": 0.1, "augment": "none"}, 0.90, {2: 0.01}, 20.0),
    Trial(2, FAILED, {"rate": 0.5, "augment": "crop"}, error="NaN & more", seconds=3.0),
    Trial(3, COMPLETE, {"rate": 0.02, "augment": "crop"}, 0.45, {2: 0.2, 10: 0.45}, 60.0),
    Trial(4, STOPPED, {"rate": 0.02, "augment": "crop"}),
]


def test_only_complete_trials_are_the_best() -> None:
    assert best(TRIALS) == TRIALS[3]
    assert best(TRIALS[1:3]) is None


def test_an_interrupted_trial_does_not_count() -> None:
    assert [one.counts for one in TRIALS] == [True, True, True, True, False]


def test_the_page_has_every_trial_and_its_charts() -> None:
    text = page.html("work/cats", TRIALS, "mAP", "5 minutes", {"rate": 0.8, "augment": 0.2})
    assert text.count("<svg") == 5, "history, evaluations, importances, rate, augment"
    for number in range(5):
        assert f"<td>{number:03}</td>" in text
    assert "NaN &amp; more" in text
    assert ">0.450</b><span>best mAP, trial 003<" in text
    assert ">0.400</b><span>mAP as configured, trial 000<" in text


def test_the_page_before_anything_is_known() -> None:
    text = page.html("work/cats", [Trial(0, "running", {"rate": 0.01})], "mAP", "9 steps", {})
    assert "<svg" not in text
    assert "running" in text


@pytest.mark.parametrize(
    ("length", "step", "seconds", "rung"),
    [
        (Length(steps=50), 1, 0.0, 1),
        (Length(steps=50), 10, 999.0, 2),
        (Length(steps=50), 50, 0.0, 10),
        (Length(minutes=2.0), 7, 30.0, 3),
        (Length(minutes=2.0), 7, 500.0, 10),
    ],
)
def test_the_tenth_of_a_length(length: Length, step: int, seconds: float, rung: int) -> None:
    assert length.rung(step, seconds) == rung


def test_a_trial_of_steps_is_measured_five_times() -> None:
    assert Length(steps=52).arguments() == ["--steps", "52", "--evaluate_every", "11"]
    assert Length(minutes=0.5).arguments() == ["--minutes", "0.5"]

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tfod_kit import evaluation
from tfod_kit.core.annotations import ImageAnnotation, ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.errors import DataError
from tfod_kit.evaluation import metrics

MAP, MAP50 = metrics.BOXES.names[:2]
BIG = Box(0.1, 0.1, 0.6, 0.6)
OTHER = Box(0.5, 0.5, 0.9, 0.9)


class Answers:
    """A detector that gives prepared answers, one per image."""

    def __init__(self, *answers: Sequence[ObjectAnnotation]) -> None:
        self._answers = list(answers)
        self.batches: list[int] = []

    def detect(self, images: Sequence[Any]) -> list[tuple[ObjectAnnotation, ...]]:
        self.batches.append(len(images))
        return [tuple(self._answers.pop(0)) for _ in images]


def labelled(source_id: str, *objects: ObjectAnnotation) -> evaluation.Example:
    truth = ImageAnnotation(Path(source_id), 200, 200, source_id, objects)
    return evaluation.Example(truth, Image.new("RGB", (200, 200)))


def truth(label: str, box: Box, **more: Any) -> ObjectAnnotation:
    return ObjectAnnotation(label, box, **more)


def found(label: str, box: Box, score: float = 0.9) -> ObjectAnnotation:
    return ObjectAnnotation(label, box, score=score)


def test_all_found_is_one() -> None:
    result = evaluation.evaluate(
        Answers([found("cat", BIG)], [found("dog", OTHER)]),
        [labelled("1", truth("cat", BIG)), labelled("2", truth("dog", OTHER))],
        ["cat", "dog"],
    )
    assert result.metrics[MAP] == pytest.approx(1.0)
    dog = result.classes["dog"]
    assert (dog.ground_truth, dog.ap, dog.ap50) == (1, pytest.approx(1.0), pytest.approx(1.0))
    assert (result.images, result.detections) == (2, 2)


def test_the_wrong_class_and_nothing_found_are_zero() -> None:
    result = evaluation.evaluate(
        Answers([found("dog", BIG)], []),
        [labelled("1", truth("cat", BIG)), labelled("2", truth("dog", OTHER))],
        ["cat", "dog"],
    )
    assert result.metrics[MAP] == 0.0
    assert {row.ap50 for row in result.classes.values()} == {0.0}


def test_one_of_two_found_is_a_half() -> None:
    """Precision 1 up to recall 0.5: 51 of COCO's 101 recall points."""
    result = evaluation.evaluate(
        Answers([found("cat", BIG)], []),
        [labelled("1", truth("cat", BIG)), labelled("2", truth("cat", OTHER))],
        ["cat"],
    )
    assert result.metrics[MAP50] == pytest.approx(51 / 101)


def test_a_loose_box_counts_at_half_overlap_only() -> None:
    """IoU 0.6: right at the thresholds 0.50, 0.55 and 0.60 of the ten."""
    loose = Box(0.1, 0.1, 0.1 + 0.5 * 0.62, 0.6)
    result = evaluation.evaluate(
        Answers([found("cat", loose)]), [labelled("1", truth("cat", BIG))], ["cat"]
    )
    assert result.metrics[MAP50] == pytest.approx(1.0)
    assert result.metrics[MAP] == pytest.approx(0.3)


def test_a_class_without_ground_truth_is_marked_not_zero() -> None:
    result = evaluation.evaluate(
        Answers([found("cat", BIG)]), [labelled("1", truth("cat", BIG))], ["cat", "dog"]
    )
    assert result.classes["dog"].ap50 == evaluation.NOT_MEASURED
    assert result.metrics[MAP] == pytest.approx(1.0), "and it does not pull the mean down"


def test_a_crowd_swallows_detections_and_counts_as_none() -> None:
    crowd = truth("cat", Box(0.0, 0.0, 1.0, 1.0), is_crowd=True)
    result = evaluation.evaluate(
        Answers([found("cat", BIG, 0.9), found("cat", OTHER, 0.99)]),
        [labelled("1", truth("cat", BIG), crowd)],
        ["cat"],
    )
    assert result.metrics[MAP50] == pytest.approx(1.0)
    assert result.classes["cat"].ground_truth == 1


def test_images_go_through_in_batches_and_each_is_shown() -> None:
    detector, seen = Answers([], [], []), []
    evaluation.evaluate(
        detector,
        [labelled(name, truth("cat", BIG)) for name in "abc"],
        ["cat"],
        batch_size=2,
        detected=lambda example, objects: seen.append(example.truth.source_id),
    )
    assert detector.batches == [2, 1]
    assert seen == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("examples", "answers", "said"),
    [
        pytest.param([], [], "nothing to evaluate", id="no records"),
        pytest.param([labelled("1"), labelled("1")], [[], []], "source_id '1'", id="same id"),
        pytest.param([labelled("1", truth("cow", BIG))], [[]], "'cow'", id="unknown class"),
    ],
)
def test_what_cannot_be_measured_is_explained(
    examples: list[evaluation.Example], answers: list[list[ObjectAnnotation]], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        evaluation.evaluate(Answers(*answers), examples, ["cat"])

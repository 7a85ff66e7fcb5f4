"""Which of a model's detections to keep: by score and class, and without overlapping ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.prediction import overlap
from tfod_kit.runs import results


@dataclass(frozen=True, slots=True)
class Filters:
    """Which detections to keep.

    Attributes:
      min_score: the lowest score, in [0, 1].
      thresholds: class name -> the lowest score of that class, in place of `min_score`.
      classes: the only classes to keep; empty = every class.
      nms: the IoU above which the lower-scoring of two detections is dropped; None = keep all that
        the model yields, which has already suppressed by its own config.
      nms_agnostic: whether `nms` also applies between classes.
    """

    min_score: float = 0.5
    thresholds: Mapping[str, float] = field(default_factory=dict)
    classes: frozenset[str] = frozenset()
    nms: float | None = None
    nms_agnostic: bool = False

    @property
    def floor(self) -> float:
        """The lowest score that is kept of any class."""
        return min([self.min_score, *self.thresholds.values()])

    def threshold(self, label: str) -> float:
        """The lowest score that is kept of a class."""
        return self.thresholds.get(label, self.min_score)

    def apply(self, objects: Sequence[ObjectAnnotation]) -> tuple[ObjectAnnotation, ...]:
        """The objects to keep, by descending score."""
        kept = tuple(item for item in objects if self._keeps(item))
        if self.nms is None:
            return kept
        return overlap.suppress(kept, self.nms, class_agnostic=self.nms_agnostic)

    def _keeps(self, item: ObjectAnnotation) -> bool:
        if self.classes and item.label not in self.classes:
            return False
        return (item.score or 0.0) >= self.threshold(item.label)


def check_classes(names: Iterable[str], label_map: LabelMap | None, option: str) -> None:
    """Refuses class names that the model does not have.

    Raises:
      UsageError: there is one; the closest name is suggested.
    """
    for name in names:
        if label_map is not None and name not in label_map:
            raise UsageError(
                f"The model has no class {name!r}.",
                where=option,
                fix=did_you_mean(name, label_map),
            )


def parse_thresholds(texts: Sequence[str]) -> dict[str, float]:
    """The lowest score of each class, from "cat=0.4" and from the JSON files of evaluations.

    An evaluation's file provides each class's best threshold, that of the highest F1; classes that
    could not be measured are left out.

    Raises:
      UsageError: a text is neither.
      DataError: a file is not an evaluation.
    """
    scores: dict[str, float] = {}
    for text in texts:
        if Path(text).is_file():
            classes = results.load(Path(text)).classes
            scores |= {
                name: row.best.threshold for name, row in classes.items() if row.best.threshold >= 0
            }
            continue
        name, equals, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not (name and equals and 0.0 <= value <= 1.0):
            raise UsageError(
                "A threshold cannot be read.",
                where=f"--thresholds {text}",
                expected="CLASS=SCORE with a score from 0 to 1, or the JSON file of an evaluation",
                fix="For example --thresholds cat=0.4, or --thresholds RUN/eval/val-1500.json.",
            )
        scores[name] = value
    return scores

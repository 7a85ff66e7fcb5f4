"""Which of a model's detections the user wants: scores, classes, and none twice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import UsageError, did_you_mean
from tfod_kit.prediction import overlap
from tfod_kit.runs import results


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is kept.

    Attributes:
      min_score: in [0, 1].
      thresholds: class name -> the score it needs in place of `min_score`.
      classes: these alone; empty means every class.
      nms: the IoU above which the weaker of two goes; None keeps all that the model gives, which
        has suppressed by its own config already.
      across: whether that also holds between classes.
    """

    min_score: float = 0.5
    thresholds: Mapping[str, float] = field(default_factory=dict)
    classes: frozenset[str] = frozenset()
    nms: float | None = None
    across: bool = False

    @property
    def floor(self) -> float:
        """The lowest score that any class keeps."""
        return min([self.min_score, *self.thresholds.values()])

    def of(self, objects: Sequence[ObjectAnnotation]) -> tuple[ObjectAnnotation, ...]:
        """The objects that are wanted, best first."""
        kept = tuple(item for item in objects if self._is_wanted(item))
        return kept if self.nms is None else overlap.suppressed(kept, self.nms, across=self.across)

    def _is_wanted(self, item: ObjectAnnotation) -> bool:
        if self.classes and item.label not in self.classes:
            return False
        return (item.score or 0.0) >= self.thresholds.get(item.label, self.min_score)


def check_classes(names: Iterable[str], label_map: LabelMap | None, option: str) -> None:
    """Refuses names of classes that the model has not.

    Raises:
      UsageError: there is one; the nearest name is offered.
    """
    for name in names:
        if label_map is not None and name not in label_map:
            raise UsageError(
                f"The model has no class {name!r}.",
                where=option,
                fix=did_you_mean(name, label_map),
            )


def thresholds(texts: Sequence[str]) -> dict[str, float]:
    """The scores that classes need, from "cat=0.4" and from evaluations' files.

    An evaluation's file gives each class's best threshold, that of the highest F1; a class that
    could not be measured is left out.

    Raises:
      UsageError: a text is neither.
      DataError: the file is no evaluation.
    """
    found: dict[str, float] = {}
    for text in texts:
        if Path(text).is_file():
            classes = results.load(Path(text)).classes
            found |= {
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
                fix="Such as --thresholds cat=0.4, or --thresholds RUN/eval/val-1500.json.",
            )
        found[name] = value
    return found

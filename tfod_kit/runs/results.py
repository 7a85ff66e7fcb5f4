"""What an evaluation found, as a document: eval/SPLIT-STEP.json, written and read here alone.

Light: neither TensorFlow nor NumPy is needed to read one, so that pages and plots start at once.
A figure that nothing could be measured for is NOT_MEASURED (-1), as COCO has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tfod_kit.errors import DataError
from tfod_kit.io import files

VERSION = 1
NOT_MEASURED = -1.0
BACKGROUND = "(background)"  # in a confusion matrix: no object where one was found, or none found

# The error types of TIDE (Bolya, Foley, Hays, Hoffman: "TIDE: A General Toolbox for Identifying
# Object Detection Errors", ECCV 2020), in the paper's order.
ERROR_TYPES = {
    "classification": "the place is right, the class is wrong",
    "localisation": "the class is right, the box overlaps too little",
    "both": "the class is wrong and the box overlaps too little",
    "duplicate": "found already, with a higher score",
    "background": "nothing is there",
    "missed": "not found at all",
}


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What a score threshold gives: of the detections with that score or more.

    Attributes:
      threshold: in [0, 1].
      precision: the share of the detections that are right.
      recall: the share of the objects that are found.
      f1: the harmonic mean of both.
    """

    threshold: float = NOT_MEASURED
    precision: float = NOT_MEASURED
    recall: float = NOT_MEASURED
    f1: float = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class Curves:
    """Precision and recall at the evaluation's IoU, over recall and over the score threshold.

    Empty where there is no ground truth.

    Attributes:
      recall: 0, 0.01 ... 1.
      best_precision: the highest precision at that recall or beyond (COCO's interpolation).
      score: the threshold that reaches that recall; 0 where none does.
      thresholds: 0, 0.01 ... 1.
      precision_at, recall_at, f1_at: of the detections with that score or more; precision reads
        NOT_MEASURED where no detection has it.
    """

    recall: tuple[float, ...] = ()
    best_precision: tuple[float, ...] = ()
    score: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    precision_at: tuple[float, ...] = ()
    recall_at: tuple[float, ...] = ()
    f1_at: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """One class.

    Attributes:
      ground_truth: objects that count (crowds do not).
      ap, ap50, ap75: average precision of boxes at IoU 0.50:0.95, 0.50 and 0.75.
      ap_small, ap_medium, ap_large: at IoU 0.50:0.95, of objects below 32² px, below 96² px, above.
      recall: average recall at IoU 0.50:0.95 with 100 detections a picture.
      mask_ap, mask_ap50, keypoint_ap, keypoint_ap50: where the data have masks or keypoints.
      detections: how many there are of this class.
      best: the operating point with the highest F1.
    """

    ground_truth: int = 0
    ap: float = NOT_MEASURED
    ap50: float = NOT_MEASURED
    ap75: float = NOT_MEASURED
    ap_small: float = NOT_MEASURED
    ap_medium: float = NOT_MEASURED
    ap_large: float = NOT_MEASURED
    recall: float = NOT_MEASURED
    mask_ap: float = NOT_MEASURED
    mask_ap50: float = NOT_MEASURED
    keypoint_ap: float = NOT_MEASURED
    keypoint_ap50: float = NOT_MEASURED
    detections: int = 0
    best: OperatingPoint = OperatingPoint()
    curves: Curves = Curves()


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Detections of like score: how many, their mean score, and the share that is right."""

    low: float
    high: float
    detections: int
    score: float = NOT_MEASURED
    precision: float = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether a score of 0.8 is right 8 times of 10.

    Attributes:
      error: the expected calibration error: the mean of |precision - score| over the bins, weighted
        by their detections; 0 is perfect.
      bins: of equal width, lowest scores first.
      min_score: detections below it are left out: detectors give hundreds of them a picture.
    """

    error: float = NOT_MEASURED
    bins: tuple[CalibrationBin, ...] = ()
    min_score: float = 0.0


@dataclass(frozen=True, slots=True)
class ErrorType:
    """One of ERROR_TYPES.

    Attributes:
      count: how many there are among the detections above the confusion's threshold.
      loss: how much mAP at IoU 0.5 would rise without them, those with lower scores included.
      total: how many there are, whatever the score.
    """

    count: int
    loss: float
    total: int = 0


@dataclass(frozen=True, slots=True)
class Confusion:
    """Which class is taken for which, at one score threshold.

    Attributes:
      threshold: detections below it are left out.
      counts: the class of the object -> the class it was found as -> how often; BACKGROUND stands
        for no object (a false detection) and for none found (a missed object). Zeros are absent.
    """

    threshold: float = NOT_MEASURED
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def matrix(self, names: tuple[str, ...]) -> list[list[int]]:
        """The counts as rows (the object's class) and columns (found as), in the names' order."""
        return [[self.counts.get(row, {}).get(name, 0) for name in names] for row in names]


@dataclass(frozen=True, slots=True)
class ImageErrors:
    """What went right and wrong in one picture at the overall best threshold.

    Attributes:
      source_id, file: which picture it is; `file` is a bare name.
      missed, false: objects not found, and detections that are wrong.
      found: objects found.
      drawn: a picture of ground truth beside detections, relative to the document; "" without one.
    """

    source_id: str
    file: str
    missed: int
    false: int
    found: int
    drawn: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """What was measured.

    Attributes:
      metrics: the overall figures, under upstream's names.
      classes: by class name, in the order of the label map.
      images, detections: how many went in.
      iou: the overlap at which curves, errors and confusion call a detection right.
      best, curves: of all classes together (every detection and object counted alike).
      worst: the pictures with most errors, the worst first.
      samples: ordinary ones: evenly of all others, from those with fewest errors on.
      model, step, split: what was measured, and on what; step is None where it is not known.
      not_measured: why figures read NOT_MEASURED, a sentence each.
    """

    metrics: dict[str, float]
    classes: dict[str, ClassMetrics]
    images: int
    detections: int
    ground_truth: int = 0
    iou: float = 0.5
    best: OperatingPoint = OperatingPoint()
    curves: Curves = Curves()
    calibration: Calibration = Calibration()
    errors: dict[str, ErrorType] = field(default_factory=dict)
    confusion: Confusion = Confusion()
    worst: tuple[ImageErrors, ...] = ()
    samples: tuple[ImageErrors, ...] = ()
    not_measured: tuple[str, ...] = ()
    model: str = ""
    step: int | None = None
    split: str = ""
    version: int = VERSION


def path(folder: Path, split: str, step: int | None) -> Path:
    """Where the results of a split at a step lie in an eval folder."""
    return folder / f"{split}-{step or 0}.json"


def save(results: Results, file: Path) -> None:
    """Writes the document, whole or not at all."""
    text = msgspec.json.format(msgspec.json.encode(results), indent=2)
    files.write_bytes(file, text + b"\n")


def load(file: Path) -> Results:
    """Reads a document.

    Raises:
      DataError: it is none, or of a version that is not known.
    """
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Results)
    except (OSError, msgspec.MsgspecError) as error:
        raise _unreadable(file, str(error)) from error
    if found.version > VERSION:
        raise _unreadable(file, f"version {found.version}")
    return found


def _unreadable(file: Path, found: str) -> DataError:
    return DataError(
        "These are no evaluation results that can be read.",
        where=file,
        expected=f"what `tfod evaluate` writes, of version {VERSION} or below",
        found=found,
        fix="Evaluate again: tfod evaluate RUN",
    )


def available(folder: Path) -> list[Path]:
    """The documents in an eval folder, by split and then by step."""
    found = [file for file in folder.glob("*-*.json") if file.stem.rpartition("-")[2].isdecimal()]
    return sorted(
        found, key=lambda file: (file.stem.rpartition("-")[0], int(file.stem.rpartition("-")[2]))
    )

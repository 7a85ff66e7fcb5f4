"""The results of an evaluation, eval/SPLIT-STEP.json: the only module that writes and reads them.

Reading needs neither TensorFlow nor NumPy, so that reports and plots start quickly. A figure
without ground truth to measure it on is NOT_MEASURED (-1), as in COCO's own evaluation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tfod_kit.errors import DataError
from tfod_kit.io import files, json_files

VERSION = 1
NOT_MEASURED = -1.0
BACKGROUND = "(background)"  # in a confusion matrix: no object, or no detection

# The error types of TIDE (Bolya, Foley, Hays, Hoffman: "TIDE: A General Toolbox for Identifying
# Object Detection Errors", ECCV 2020), in the paper's order.
ERROR_TYPES = {
    "classification": "the box is right, the class is wrong",
    "localisation": "the class is right, the box overlaps too little",
    "both": "the class is wrong and the box overlaps too little",
    "duplicate": "detected already, with a higher score",
    "background": "there is no object",
    "missed": "an object without any detection",
}


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Precision and recall of the detections at or above a score threshold.

    Attributes:
      threshold: in [0, 1].
      precision: the fraction of the detections that are correct.
      recall: the fraction of the objects that are detected.
      f1: the harmonic mean of both.
    """

    threshold: float = NOT_MEASURED
    precision: float = NOT_MEASURED
    recall: float = NOT_MEASURED
    f1: float = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class Curves:
    """Precision and recall at the evaluation's IoU, over recall and over the score threshold.

    Empty without ground truth.

    Attributes:
      recall: 0, 0.01 ... 1.
      best_precision: the highest precision at that recall or above (COCO's interpolation).
      score: the threshold that reaches that recall; 0 if none does.
      thresholds: 0, 0.01 ... 1.
      precision_at, recall_at, f1_at: of the detections at or above each threshold; precision is
        NOT_MEASURED where there are no such detections.
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
    """The figures of one class.

    Attributes:
      ground_truth: the number of objects, crowds excluded.
      ap, ap50, ap75: average precision of boxes at IoU 0.50:0.95, 0.50 and 0.75.
      ap_small, ap_medium, ap_large: at IoU 0.50:0.95, of objects below 32² px, below 96² px, above.
      recall: average recall at IoU 0.50:0.95 with 100 detections per image.
      mask_ap, mask_ap50, keypoint_ap, keypoint_ap50: for data with masks or keypoints.
      detections: the number of detections.
      best: the operating point with the highest F1.
      curves: precision and recall.
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
    """Detections with scores in [low, high): their number, mean score and precision."""

    low: float
    high: float
    detections: int
    score: float = NOT_MEASURED
    precision: float = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far scores are probabilities: whether 8 of 10 detections with a score of 0.8 are correct.

    Attributes:
      error: the expected calibration error: the mean of |precision - score| over the bins, weighted
        by their detections; 0 is perfect.
      bins: of equal width, in the order of their scores.
      min_score: detections below it are excluded: detectors give hundreds of them per image.
    """

    error: float = NOT_MEASURED
    bins: tuple[CalibrationBin, ...] = ()
    min_score: float = 0.0


@dataclass(frozen=True, slots=True)
class ErrorType:
    """One of ERROR_TYPES.

    Attributes:
      count: the number of errors among the detections above the confusion's threshold.
      loss: the rise of mAP at IoU 0.5 without these errors, at all scores.
      total: the number of errors at all scores.
    """

    count: int
    loss: float
    total: int = 0


@dataclass(frozen=True, slots=True)
class Confusion:
    """The confusion matrix at one score threshold.

    Attributes:
      threshold: detections below it are excluded.
      counts: class of the object -> class of the detection -> number. BACKGROUND as the former is a
        false detection, as the latter a missed object. Zeros are left out.
    """

    threshold: float = NOT_MEASURED
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def matrix(self, names: tuple[str, ...]) -> list[list[int]]:
        """The counts as rows (class of the object) and columns (class of the detection)."""
        return [[self.counts.get(row, {}).get(name, 0) for name in names] for row in names]


@dataclass(frozen=True, slots=True)
class ImageErrors:
    """The errors in one image at the overall best threshold.

    Attributes:
      source_id, file: the image; `file` is a bare name.
      missed, false: the numbers of objects not detected, and of wrong detections.
      found: the number of objects detected.
      drawn: a drawing of ground truth beside detections, relative to the results; "" without one.
    """

    source_id: str
    file: str
    missed: int
    false: int
    found: int
    drawn: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """The results of evaluating one model on one split.

    Attributes:
      metrics: the overall figures, under upstream's names.
      classes: by class name, in the order of the label map.
      images, detections, ground_truth: their numbers.
      iou: the IoU from which curves, errors and confusion count a detection as correct.
      best, curves: of all classes together, each detection and object with the same weight.
      worst: the images with the most errors, in descending order.
      samples: typical images: spread evenly over all others, in the order of their errors.
      model, step, split: the model and the data; step is None if unknown.
      not_measured: why figures are NOT_MEASURED, a sentence each.
      notes: what qualifies the figures, a sentence or two each.
      max_detections: the detections of a class in an image that COCO's metrics count; None =
        COCO's limits.
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
    notes: tuple[str, ...] = ()
    max_detections: int | None = None
    model: str = ""
    step: int | None = None
    split: str = ""
    version: int = VERSION


def path(folder: Path, split: str, step: int | None) -> Path:
    """The file with the results of a split at a step in an eval folder."""
    return folder / f"{split}-{step or 0}.json"


def save(results: Results, file: Path) -> None:
    """Writes results, whole or not at all."""
    text = msgspec.json.format(msgspec.json.encode(results), indent=2)
    files.write_bytes(file, text + b"\n")


def load(file: Path) -> Results:
    """Reads results.

    Raises:
      DataError: the file is not a results file, or one of a later version.
    """
    try:
        loaded = json_files.read(file, Results)
    except ValueError as error:
        raise _unreadable(file, str(error)) from error
    if loaded.version > VERSION:
        raise _unreadable(file, f"version {loaded.version}")
    return loaded


def _unreadable(file: Path, found: str) -> DataError:
    return DataError(
        "The evaluation results cannot be read.",
        where=file,
        expected=f"a file written by `tfod evaluate`, of version {VERSION} or lower",
        found=found,
        fix="Evaluate again: tfod evaluate RUN",
    )


def available(folder: Path) -> list[Path]:
    """The results files in an eval folder, by split and then by step."""
    named = [file for file in folder.glob("*-*.json") if file.stem.rpartition("-")[2].isdecimal()]
    return sorted(
        named, key=lambda file: (file.stem.rpartition("-")[0], int(file.stem.rpartition("-")[2]))
    )

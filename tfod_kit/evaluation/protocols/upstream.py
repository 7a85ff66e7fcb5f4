"""Ground truth and detections for upstream's evaluators of PASCAL VOC's kind.

What they read of ground truth beyond boxes: with PASCAL VOC, difficult objects neither have to be
found nor make a detection false; with Open Images, group_of boxes absorb detections of their class.
"""

import logging
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfod_kit import compat
from tfod_kit.compat import engine_packages
from tfod_kit.evaluation.tables import Row, Tables

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Protocol:
    """A set of metrics.

    Attributes:
      title: its name, as printed.
      main: the full names of the metrics that sum it up, of which those that were measured are
        printed.
      measure: the value of each metric by its full name; NaN for a class without ground truth.
    """

    title: str
    main: tuple[str, ...]
    measure: Callable[[Tables], dict[str, float]]


def evaluator(class_name: str, tables: Tables) -> Any:
    """An evaluator of upstream's object_detection_evaluation that has seen all the tables' rows.

    Args:
      class_name: such as "PascalDetectionEvaluator".
      tables: ground truth and detections.
    """
    from object_detection.utils import object_detection_evaluation

    # Upstream counts classes from 1 without gaps.
    numbers = {number: index for index, number in enumerate(tables.classes.values(), start=1)}
    filled = getattr(object_detection_evaluation, class_name)(
        [{"id": numbers[number], "name": name} for name, number in tables.classes.items()]
    )
    truth, detections = _by_image(tables.truth), _by_image(tables.detections)
    for image in tables.images:
        number = image["id"]
        filled.add_single_ground_truth_image_info(
            number,
            {
                "groundtruth_boxes": _corners(truth[number]),
                "groundtruth_classes": _classes(truth[number], numbers),
                "groundtruth_difficult": _flags(truth[number], "difficult"),
                "groundtruth_group_of": _flags(truth[number], "group_of"),
            },
        )
        filled.add_single_detected_image_info(
            number,
            {
                "detection_boxes": _corners(detections[number]),
                "detection_classes": _classes(detections[number], numbers),
                "detection_scores": _scores(detections[number]),
            },
        )
    return filled


@contextmanager
def activated() -> Iterator[None]:
    """Makes upstream importable, and silences it within the block.

    It logs every class without ground truth, and NumPy warns of each mean of an empty list.
    """
    engine_packages.require()
    compat.activate()
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _by_image(rows: Sequence[Row]) -> dict[int, list[Row]]:
    grouped: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["image_id"]].append(row)
    return grouped


def _corners(rows: Sequence[Row]) -> "NDArray[np.float32]":
    """[N, 4] of (ymin, xmin, ymax, xmax) in px."""
    import numpy as np

    x, y, width, height = np.array([row["bbox"] for row in rows], float).reshape(-1, 4).T
    return np.stack([y, x, y + height, x + width], axis=1).astype(np.float32)


def _classes(rows: Sequence[Row], numbers: Mapping[int, int]) -> "NDArray[np.int64]":
    import numpy as np

    return np.array([numbers[row["category_id"]] for row in rows], dtype=np.int64)


def _flags(rows: Sequence[Row], name: str) -> "NDArray[np.bool_]":
    import numpy as np

    return np.array([bool(row.get(name, False)) for row in rows], dtype=bool)


def _scores(rows: Sequence[Row]) -> "NDArray[np.float32]":
    import numpy as np

    return np.array([row["score"] for row in rows], dtype=np.float32)

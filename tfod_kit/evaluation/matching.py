"""Pairs detections with the objects that they overlap, and matches them as COCO does at one IoU.

Curves, confusion, calibration and error types are all computed from these matches.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfod_kit.core import overlap
from tfod_kit.evaluation.tables import Row, Tables

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.floating[Any]]
    Bools = NDArray[np.bool_]
    Columns = dict[str, NDArray[Any]]  # class, image and box of each row

RIGHT_IOU = 0.5  # from this overlap on, a detection is right
NEAR_IOU = 0.1  # below, a detection is unrelated to the object: TIDE's background threshold
NONE = -1


@dataclass(frozen=True, slots=True)
class Matches:
    """Detections [D] by descending score, objects [T] without crowds, and overlapping pairs [P].

    Attributes:
      score, detection_class, detection_image: [D]; classes and images by their index in the tables.
      detection_row: [D], the index of the detection's row in the tables.
      match: [D], the object that the detection is matched to; NONE if there is none.
      ignored: [D], neither right nor wrong, because the detection is in a crowd of its class.
      truth_class, truth_image, truth_row: [T].
      pair_detection, pair_truth, iou: [P], every pair in one image with an IoU of NEAR_IOU or more,
        regardless of class, by ascending detection and descending IoU.
    """

    score: "Floats"
    detection_class: "Ints"
    detection_image: "Ints"
    detection_row: "Ints"
    match: "Ints"
    ignored: "Bools"
    truth_class: "Ints"
    truth_image: "Ints"
    truth_row: "Ints"
    pair_detection: "Ints"
    pair_truth: "Ints"
    iou: "Floats"

    @property
    def right(self) -> "Bools":
        """[D], whether the detection is matched to an object."""
        right: Bools = self.match != NONE
        return right

    def above(self, threshold: float) -> "Matches":
        """The matches without the detections below a score."""
        kept = int((self.score >= threshold).sum())
        pairs = self.pair_detection < kept
        return dataclasses.replace(
            self,
            score=self.score[:kept],
            detection_class=self.detection_class[:kept],
            detection_image=self.detection_image[:kept],
            detection_row=self.detection_row[:kept],
            match=self.match[:kept],
            ignored=self.ignored[:kept],
            pair_detection=self.pair_detection[pairs],
            pair_truth=self.pair_truth[pairs],
            iou=self.iou[pairs],
        )


def match(tables: Tables) -> Matches:
    """Pairs and matches every detection, as COCOeval does (evaluateImg), without its limit of 100.

    In the order of descending scores, each detection takes the object of its class that it overlaps
    most, among those with an IoU of at least RIGHT_IOU that are not taken yet.
    """
    import numpy as np

    truth = _columns(tables, tables.truth)
    detections = _columns(tables, tables.detections)
    score = np.array([row["score"] for row in tables.detections], dtype=float)
    # Equal scores are ordered by image, then as given, as by COCOeval's stable sorting.
    order = np.lexsort((detections["image"], -score))
    detections = {name: values[order] for name, values in detections.items()}
    crowd = np.array([bool(row["iscrowd"]) for row in tables.truth], dtype=bool)
    first, second, iou = _pairs(detections, truth, crowd)

    same_class = detections["class"][first] == truth["class"][second]
    in_crowd = np.zeros(len(order), dtype=bool)
    in_crowd[first[crowd[second] & same_class & (iou >= RIGHT_IOU)]] = True

    kept = np.flatnonzero(~crowd)
    index = np.full(len(crowd), NONE)
    index[kept] = np.arange(len(kept))
    first, second, iou = (values[~crowd[second]] for values in (first, second, iou))
    second = index[second]
    matched = greedy(
        first, second, iou, detections["class"][first] == truth["class"][kept][second], len(order)
    )
    return Matches(
        score=score[order],
        detection_class=detections["class"],
        detection_image=detections["image"],
        detection_row=order,
        match=matched,
        ignored=in_crowd & (matched == NONE),
        truth_class=truth["class"][kept],
        truth_image=truth["image"][kept],
        truth_row=kept,
        pair_detection=first,
        pair_truth=second,
        iou=iou,
    )


def greedy(
    pair_detection: "Ints", pair_truth: "Ints", iou: "Floats", allowed: "Bools", detections: int
) -> "Ints":
    """The object that each detection takes, in their order; NONE if there is none.

    Args:
      pair_detection, pair_truth, iou: [P], by ascending detection and descending IoU.
      allowed: [P], which pairs may be matched; those below RIGHT_IOU never are.
      detections: number of detections.
    """
    import numpy as np

    matched = np.full(detections, NONE)
    taken: set[int] = set()
    chosen = allowed & (iou >= RIGHT_IOU)
    pairs = zip(pair_detection[chosen].tolist(), pair_truth[chosen].tolist(), strict=True)
    for detection, truth in pairs:
        if matched[detection] == NONE and truth not in taken:
            matched[detection] = truth
            taken.add(truth)
    return matched


def _columns(tables: Tables, rows: list[Row]) -> "Columns":
    import numpy as np

    classes = {number: index for index, number in enumerate(tables.classes.values())}
    images = {image["id"]: index for index, image in enumerate(tables.images)}
    return {
        "class": np.array([classes[row["category_id"]] for row in rows], dtype=np.int64),
        "image": np.array([images[row["image_id"]] for row in rows], dtype=np.int64),
        "box": np.array([row["bbox"] for row in rows], dtype=float).reshape(-1, 4),
    }


def _pairs(
    detections: "Columns", truth: "Columns", crowd: "Bools"
) -> tuple["Ints", "Ints", "Floats"]:
    """The pairs (detection, object, IoU) of NEAR_IOU or more, by detection and descending IoU."""
    import numpy as np

    last = max(detections["image"].max(initial=NONE), truth["image"].max(initial=NONE)) + 1
    one, other = (_by_image(columns["image"], int(last)) for columns in (detections, truth))
    parts = []
    for some, objects in zip(one, other, strict=True):
        if len(some) and len(objects):
            ious = _iou(detections["box"][some], truth["box"][objects], crowd[objects])
            near = np.nonzero(ious >= NEAR_IOU)
            parts.append((some[near[0]], objects[near[1]], ious[near]))
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    first, second, iou = (np.concatenate(column) for column in zip(*parts, strict=True))
    # Of equal overlaps, COCOeval takes the later object.
    order = np.lexsort((-second, -iou, first))
    return first[order], second[order], iou[order]


def _by_image(image: "Ints", images: int) -> list["Ints"]:
    import numpy as np

    order = np.argsort(image, kind="stable")
    return np.split(order, np.searchsorted(image[order], np.arange(1, images)))


def _iou(detections: "Floats", truth: "Floats", crowd: "Bools") -> "Floats":
    """[D, T] IoU of boxes (x, y, width, height) in px, as COCOeval computes it.

    The areas are width times height, not differences of corners: at a threshold the last bit
    decides. For a crowd it is the fraction of the detection inside the crowd.
    """
    import numpy as np

    with np.errstate(all="ignore"):  # boxes of absurd size overlap nothing
        shared = overlap.intersection(_corners(detections)[:, None], _corners(truth)[None, :])
        area, truth_area = detections[:, None, 2:].prod(axis=-1), truth[None, :, 2:].prod(axis=-1)
        whole = np.where(crowd[None, :], area, area + truth_area - shared)
        return overlap.ratio(shared, whole)


def _corners(boxes: "Floats") -> "Floats":
    import numpy as np

    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)

"""Which detection is right: each is paired with the objects that it overlaps, then matched as COCO
matches, at one IoU. Curves, confusion, calibration and error types are all read off this."""

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

RIGHT_IOU = 0.5  # from here on a detection is right
NEAR_IOU = 0.1  # below, it has nothing to do with the object: TIDE's background threshold
MOST_DETECTIONS = 100  # of a class in a picture: COCO's limit
NONE = -1


@dataclass(frozen=True, slots=True)
class Matches:
    """Detections [D] by falling score, objects [T] without crowds, and the pairs [P] that overlap.

    Attributes:
      score, found_class, found_image: [D]; classes and images by their place in the tables.
      found_row: [D], the detection's row in the tables.
      match: [D], the object that the detection is right about; NONE where there is none.
      ignored: [D], neither right nor wrong: it lies in a crowd of its class.
      truth_class, truth_image, truth_row: [T].
      pair_found, pair_truth, iou: [P], every pair in one picture with an IoU of NEAR_IOU or more,
        whatever the classes, by ascending detection and falling IoU.
    """

    score: "Floats"
    found_class: "Ints"
    found_image: "Ints"
    found_row: "Ints"
    match: "Ints"
    ignored: "Bools"
    truth_class: "Ints"
    truth_image: "Ints"
    truth_row: "Ints"
    pair_found: "Ints"
    pair_truth: "Ints"
    iou: "Floats"

    @property
    def right(self) -> "Bools":
        return self.match != NONE

    def above(self, threshold: float) -> "Matches":
        """As if there were no detections below that score."""
        kept = int((self.score >= threshold).sum())
        pairs = self.pair_found < kept
        return dataclasses.replace(
            self,
            score=self.score[:kept],
            found_class=self.found_class[:kept],
            found_image=self.found_image[:kept],
            found_row=self.found_row[:kept],
            match=self.match[:kept],
            ignored=self.ignored[:kept],
            pair_found=self.pair_found[pairs],
            pair_truth=self.pair_truth[pairs],
            iou=self.iou[pairs],
        )


def match(tables: Tables) -> Matches:
    """Pairs and matches every detection.

    In the order of falling scores, each takes the object of its class that it overlaps most, if by
    RIGHT_IOU at least and not yet taken: as COCOeval does (evaluateImg).
    """
    import numpy as np

    truth, found = _columns(tables, tables.truth), _columns(tables, tables.found)
    score = np.array([row["score"] for row in tables.found], dtype=float)
    order = _ranked(score, found)
    found = {name: values[order] for name, values in found.items()}
    crowd = np.array([bool(row["iscrowd"]) for row in tables.truth], dtype=bool)
    first, second, iou = _pairs(found, truth, crowd)

    same = found["class"][first] == truth["class"][second]
    in_crowd = np.zeros(len(order), dtype=bool)
    in_crowd[first[crowd[second] & same & (iou >= RIGHT_IOU)]] = True

    kept = np.flatnonzero(~crowd)
    place = np.full(len(crowd), NONE)
    place[kept] = np.arange(len(kept))
    first, second, iou = (values[~crowd[second]] for values in (first, second, iou))
    second = place[second]
    matched = greedy(
        first, second, iou, (found["class"][first] == truth["class"][kept][second]), len(order)
    )
    return Matches(
        score=score[order],
        found_class=found["class"],
        found_image=found["image"],
        found_row=order,
        match=matched,
        ignored=in_crowd & (matched == NONE),
        truth_class=truth["class"][kept],
        truth_image=truth["image"][kept],
        truth_row=kept,
        pair_found=first,
        pair_truth=second,
        iou=iou,
    )


def greedy(
    pair_found: "Ints", pair_truth: "Ints", iou: "Floats", allowed: "Bools", detections: int
) -> "Ints":
    """The object that each of the detections takes, in their order, or NONE.

    Args:
      pair_found, pair_truth, iou: [P], by ascending detection and falling IoU.
      allowed: [P], which pairs may be matched; those below RIGHT_IOU never are.
      detections: how many there are.
    """
    import numpy as np

    matched = np.full(detections, NONE)
    taken: set[int] = set()
    chosen = allowed & (iou >= RIGHT_IOU)
    for one, other in zip(pair_found[chosen].tolist(), pair_truth[chosen].tolist(), strict=True):
        if matched[one] == NONE and other not in taken:
            matched[one] = other
            taken.add(other)
    return matched


def _columns(tables: Tables, rows: list[Row]) -> dict[str, Any]:
    import numpy as np

    classes = {number: place for place, number in enumerate(tables.classes.values())}
    images = {image["id"]: place for place, image in enumerate(tables.images)}
    return {
        "class": np.array([classes[row["category_id"]] for row in rows], dtype=np.int64),
        "image": np.array([images[row["image_id"]] for row in rows], dtype=np.int64),
        "box": np.array([row["bbox"] for row in rows], dtype=float).reshape(-1, 4),
    }


def _ranked(score: "Floats", found: dict[str, Any]) -> "Ints":
    """The detections by falling score, without those beyond MOST_DETECTIONS; equal scores by image,
    then as they were given, as COCOeval's stable sorting has it."""
    import numpy as np

    order = np.lexsort((found["image"], -score))
    group = found["image"][order] * (found["class"].max(initial=0) + 1) + found["class"][order]
    by_group = np.argsort(group, kind="stable")
    _, starts, counts = np.unique(group[by_group], return_index=True, return_counts=True)
    rank = np.empty(len(order), dtype=np.int64)
    rank[by_group] = np.arange(len(order)) - np.repeat(starts, counts)
    return order[rank < MOST_DETECTIONS]


def _pairs(
    found: dict[str, Any], truth: dict[str, Any], crowd: "Bools"
) -> tuple["Ints", "Ints", "Floats"]:
    """The pairs (detection, object, IoU) of NEAR_IOU or more, by detection and falling IoU."""
    import numpy as np

    last = max(found["image"].max(initial=NONE), truth["image"].max(initial=NONE)) + 1
    one, other = (_by_image(columns["image"], int(last)) for columns in (found, truth))
    parts = []
    for some, objects in zip(one, other, strict=True):
        if len(some) and len(objects):
            ious = _iou(found["box"][some], truth["box"][objects], crowd[objects])
            near = np.nonzero(ious >= NEAR_IOU)
            parts.append((some[near[0]], objects[near[1]], ious[near]))
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    first, second, iou = (np.concatenate(column) for column in zip(*parts, strict=True))
    # Of equal overlaps COCOeval takes the later object.
    order = np.lexsort((-second, -iou, first))
    return first[order], second[order], iou[order]


def _by_image(image: "Ints", images: int) -> list["Ints"]:
    import numpy as np

    order = np.argsort(image, kind="stable")
    return np.split(order, np.searchsorted(image[order], np.arange(1, images)))


def _iou(found: "Floats", truth: "Floats", crowd: "Bools") -> "Floats":
    """[F, T] IoU of boxes (x, y, width, height) in px, as COCOeval computes it.

    The areas are width times height, not differences of corners: at a threshold the last bit
    decides. For a crowd it is the fraction of the detection inside the crowd.
    """
    import numpy as np

    with np.errstate(all="ignore"):  # boxes of absurd size overlap nothing
        shared = overlap.intersection(_corners(found)[:, None], _corners(truth)[None, :])
        area, truth_area = found[:, None, 2:].prod(axis=-1), truth[None, :, 2:].prod(axis=-1)
        whole = np.where(crowd[None, :], area, area + truth_area - shared)
        return overlap.ratio(shared, whole)


def _corners(boxes: "Floats") -> "Floats":
    import numpy as np

    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)

"""Converts a model's output arrays to annotations, with masks and keypoints."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfod_kit.core.annotations import Keypoint, ObjectAnnotation, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.core.labels import LabelMap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

# The outputs that are read, under upstream's names (core/standard_fields.py).
COUNT = "num_detections"
BOXES, SCORES, CLASSES = "detection_boxes", "detection_scores", "detection_classes"
MASKS = "detection_masks"
KEYPOINTS, KEYPOINT_SCORES = "detection_keypoints", "detection_keypoint_scores"
OUTPUTS = frozenset({COUNT, BOXES, SCORES, CLASSES, MASKS, KEYPOINTS, KEYPOINT_SCORES})

# A mask consists of the pixels above this value, as in upstream's evaluation (eval_util.py).
_INSIDE = 0.5
_STRIPE = 64  # px
# CenterNet gives a keypoint without a candidate a score of 0.1 (center_net.proto,
# unmatched_keypoint_score): it is a guess and counts as hidden.
_VISIBLE = 0.15


def as_objects(
    outputs: "Mapping[str, NDArray[np.generic]]",
    label_map: LabelMap | None,
    *,
    size: tuple[int, int] | None = None,
    min_score: float = 0.0,
) -> tuple[ObjectAnnotation, ...]:
    """Converts the detections of one image, highest score first.

    Args:
      outputs: detection_boxes [N, 4] in [0, 1] as (ymin, xmin, ymax, xmax), detection_scores [N],
        detection_classes [N] from 1, num_detections: a scalar; optionally detection_masks
        [N, h, w] in [0, 1], each stretched over its box, detection_keypoints [N, K, 2] as (y, x)
        in [0, 1], and detection_keypoint_scores [N, K].
      label_map: the class names; a class that is not in it is named by its id.
      size: the image's height and width, px; without it masks are left out.
      min_score: rows with a lower score are left out before their masks are drawn, which is the
        slowest part.
    """
    import numpy as np

    names = label_map.names if label_map is not None else {}
    count = int(outputs[COUNT])
    scores = np.asarray(outputs[SCORES][:count])
    # Rows with a score of 0 only pad the output.
    rows = np.flatnonzero((scores > 0) & (scores >= min_score))
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    objects = []
    for row in rows.tolist():
        class_id = int(outputs[CLASSES][row])
        box = Box(*np.asarray(outputs[BOXES][row]).tolist())
        objects.append(
            ObjectAnnotation(
                names.get(class_id, str(class_id)),
                box,
                mask=in_image(outputs[MASKS][row], box, *size)
                if size is not None and MASKS in outputs
                else None,
                keypoints=_keypoints(outputs, row),
                score=float(scores[row]),
            )
        )
    return tuple(objects)


def in_image(mask: "ArrayLike", box: Box, height: int, width: int) -> Rle:
    """Stretches a mask over its box; returns run lengths of the whole image.

    The pixels are those for which upstream's reframe_box_masks_to_image_masks is above 0.5, but
    only pixels in the box are computed.

    Args:
      mask: [h, w], in [0, 1].
      box: its position in the image.
      height, width: the size of the image, px.
    """
    import numpy as np

    values = np.asarray(mask, dtype=np.float32)
    top, down = _positions(box.ymin, box.ymax, height, values.shape[0])
    left, across = _positions(box.xmin, box.xmax, width, values.shape[1])
    stretched = _interpolated(values, down).T  # [w, rows]
    inside = np.empty((len(across), len(down)), bool)
    for start in range(0, len(across), _STRIPE):  # stripes that fit a processor's cache
        piece = slice(start, start + _STRIPE)
        inside[piece] = _interpolated(stretched, across[piece]) > _INSIDE
    return run_lengths(inside, top, left, height, width)


def run_lengths(inside: "NDArray[np.bool_]", top: int, left: int, height: int, width: int) -> Rle:
    """Encodes the pixels of a part of the image as run lengths of the whole image.

    Args:
      inside: bool [w, h], by columns, which is the order of COCO's runs.
      top, left: the corner of the part in the image, px.
      height, width: the size of the image, px.
    """
    import numpy as np

    columns, rows = inside.shape
    fenced = np.zeros((columns, rows + 2), bool)
    fenced[:, 1:-1] = inside
    column, row = np.divmod(np.flatnonzero(fenced[:, 1:] != fenced[:, :-1]), rows + 1)
    edges = (left + column) * height + top + row
    # If one column ends inside and the next one begins inside, the run continues.
    same = np.flatnonzero(edges[1:] == edges[:-1])
    edges = np.delete(edges, np.concatenate((same, same + 1)))
    if edges.size and edges[-1] == height * width:
        edges = edges[:-1]  # no empty run follows a mask that ends with the image
    counts = np.diff(edges, prepend=0, append=height * width)
    return encoded(counts.tolist(), height, width)


def encoded(counts: list[int], height: int, width: int) -> Rle:
    """A mask of run lengths, by columns; the first one is outside."""
    from pycocotools import mask as coco_mask

    runs = {"counts": counts, "size": [height, width]}
    return Rle(coco_mask.frPyObjects(runs, height, width)["counts"], height, width)


def _positions(
    start: float, end: float, pixels: int, cells: int
) -> "tuple[int, NDArray[np.floating]]":
    """Maps the image's pixels to positions on a mask, along one side.

    Returns:
      The first pixel between `start` and `end`; and for each pixel between them its position among
      the cells, from 0 to cells - 1: the centres of the outer cells are at `start` and `end`.
    """
    import numpy as np

    if not end > start:
        return 0, np.zeros(0)
    last = max(pixels - 1, 1)
    positions = (np.arange(pixels) / last - start) / (end - start) * (cells - 1)
    within = np.flatnonzero((positions >= 0) & (positions <= cells - 1))
    return int(within[0]) if within.size else 0, positions[within]


def _interpolated(
    rows: "NDArray[np.float32]", positions: "NDArray[np.floating]"
) -> "NDArray[np.float32]":
    """Interpolates linearly: float32 [len(positions), ...] from float32 [cells, ...]."""
    import numpy as np

    below = positions.astype(np.intp)
    share = (positions - below).astype(np.float32)[:, None]
    mixed: NDArray[np.float32] = rows[np.minimum(below + 1, len(rows) - 1)]
    mixed -= (lower := rows[below])
    mixed *= share
    mixed += lower
    return mixed


def _keypoints(outputs: "Mapping[str, NDArray[np.generic]]", row: int) -> tuple[Keypoint, ...]:
    """All keypoints of the model; those of other classes have no score and no visibility."""
    if KEYPOINTS not in outputs:
        return ()
    points = outputs[KEYPOINTS][row].tolist()
    if KEYPOINT_SCORES not in outputs:
        return tuple(Keypoint(y, x, 2) for y, x in points)
    scores = outputs[KEYPOINT_SCORES][row].tolist()
    return tuple(
        Keypoint(y, x, visibility(score)) for (y, x), score in zip(points, scores, strict=True)
    )


def visibility(score: float) -> int:
    """COCO's visibility of a keypoint: 2 visible, 1 hidden, 0 not there."""
    return 2 if score >= _VISIBLE else int(score > 0)

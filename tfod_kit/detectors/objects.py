"""A model's output arrays -> the project's own objects, with their masks and keypoints."""

from collections.abc import Mapping
from typing import Any

from tfod_kit.core.annotations import Keypoint, ObjectAnnotation, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.core.labels import LabelMap

# What is read of a model's outputs, under upstream's names (core/standard_fields.py).
COUNT = "num_detections"
BOXES, SCORES, CLASSES = "detection_boxes", "detection_scores", "detection_classes"
MASKS = "detection_masks"
KEYPOINTS, KEYPOINT_SCORES = "detection_keypoints", "detection_keypoint_scores"
OUTPUTS = frozenset({COUNT, BOXES, SCORES, CLASSES, MASKS, KEYPOINTS, KEYPOINT_SCORES})

# A mask's pixels are those above it, as upstream's evaluation has it (eval_util.py).
_INSIDE = 0.5
_STRIPE = 64  # px
# CenterNet gives a keypoint without a candidate of its own a score of 0.1
# (center_net.proto, unmatched_keypoint_score): a guess, so it counts as hidden.
_SEEN = 0.15


def as_objects(
    outputs: Mapping[str, Any],
    label_map: LabelMap | None,
    *,
    size: tuple[int, int] | None = None,
    min_score: float = 0.0,
) -> tuple[ObjectAnnotation, ...]:
    """The detections of one image, highest score first, from the model's output arrays.

    Args:
      outputs: detection_boxes [N, 4] in [0, 1] as (ymin, xmin, ymax, xmax), detection_scores [N],
        detection_classes [N] from 1, num_detections: a scalar; where the model has them,
        detection_masks [N, h, w] in [0, 1], each stretched over its box, detection_keypoints
        [N, K, 2] as (y, x) in [0, 1], and detection_keypoint_scores [N, K].
      label_map: gives the names; a class it lacks, or any without it, is named by its id.
      size: the image's height and width in px; masks are left out without it.
      min_score: rows below are left out before their masks are drawn, which takes longest.
    """
    import numpy as np

    names = label_map.names if label_map is not None else {}
    count = int(outputs[COUNT])
    scores = np.asarray(outputs[SCORES][:count])
    # Rows without a score only pad the output.
    rows = np.flatnonzero((scores > 0) & (scores >= min_score))
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    found = []
    for row in rows.tolist():
        number = int(outputs[CLASSES][row])
        box = Box(*np.asarray(outputs[BOXES][row]).tolist())
        found.append(
            ObjectAnnotation(
                names.get(number, str(number)),
                box,
                mask=in_image(outputs[MASKS][row], box, *size)
                if size is not None and MASKS in outputs
                else None,
                keypoints=_keypoints(outputs, row),
                score=float(scores[row]),
            )
        )
    return tuple(found)


def in_image(mask: Any, box: Box, height: int, width: int) -> Rle:
    """A mask that is stretched over its box, as run lengths in the image.

    The same pixels as upstream's reframe_box_masks_to_image_masks gives above 0.5, but only those
    of the box are looked at.

    Args:
      mask: [h, w], in [0, 1].
      box: where it lies.
      height, width: the image's, px.
    """
    import numpy as np

    mask = np.asarray(mask, dtype=np.float32)
    top, down = _places(box.ymin, box.ymax, height, mask.shape[0])
    left, across = _places(box.xmin, box.xmax, width, mask.shape[1])
    stretched = _between(mask, down).T  # [w, rows]
    inside = np.empty((len(across), len(down)), bool)
    for start in range(0, len(across), _STRIPE):  # pieces that a processor's cache holds
        piece = slice(start, start + _STRIPE)
        inside[piece] = _between(stretched, across[piece]) > _INSIDE
    return run_lengths(inside, top, left, height, width)


def run_lengths(inside: Any, top: int, left: int, height: int, width: int) -> Rle:
    """Pixels of a part of the image as run lengths of it all.

    Args:
      inside: bool [w, h], by columns, as COCO's runs go.
      top, left: where in the image the part begins, px.
      height, width: the image's, px.
    """
    import numpy as np
    from pycocotools import mask as coco_mask

    columns, rows = inside.shape
    fenced = np.zeros((columns, rows + 2), bool)
    fenced[:, 1:-1] = inside
    column, row = np.divmod(np.flatnonzero(fenced[:, 1:] != fenced[:, :-1]), rows + 1)
    edges = (left + column) * height + top + row
    # Where one column ends inside and the next begins so, the run goes on.
    same = np.flatnonzero(edges[1:] == edges[:-1])
    edges = np.delete(edges, np.concatenate((same, same + 1)))
    if edges.size and edges[-1] == height * width:
        edges = edges[:-1]  # a mask that ends with the image has no run of nothing after it
    counts = np.diff(edges, prepend=0, append=height * width)
    size = [height, width]
    whole = coco_mask.frPyObjects({"counts": counts.tolist(), "size": size}, height, width)
    return Rle(whole["counts"], height, width)


def _places(start: float, end: float, pixels: int, cells: int) -> tuple[int, Any]:
    """Where the image's pixels lie on a mask, along one side.

    Returns:
      the first pixel between the two ends, and for each of those between them its place among the
      cells, from 0 to cells - 1: the outer cells' middles lie on the ends.
    """
    import numpy as np

    if not end > start:
        return 0, np.zeros(0)
    last = max(pixels - 1, 1)
    places = (np.arange(pixels) / last - start) / (end - start) * (cells - 1)
    within = np.flatnonzero((places >= 0) & (places <= cells - 1))
    return int(within[0]) if within.size else 0, places[within]


def _between(rows: Any, places: Any) -> Any:
    """Linear interpolation: float32 [len(places), ...] from float32 [cells, ...]."""
    import numpy as np

    below = places.astype(np.intp)
    share = (places - below).astype(np.float32)[:, None]
    mixed = rows[np.minimum(below + 1, len(rows) - 1)]
    mixed -= (lower := rows[below])
    mixed *= share
    mixed += lower
    return mixed


def _keypoints(outputs: Mapping[str, Any], row: int) -> tuple[Keypoint, ...]:
    """All keypoints that the model knows; another class's have no score and no visibility."""
    if KEYPOINTS not in outputs:
        return ()
    points = outputs[KEYPOINTS][row].tolist()
    if KEYPOINT_SCORES not in outputs:
        return tuple(Keypoint(y, x, 2) for y, x in points)
    scores = outputs[KEYPOINT_SCORES][row].tolist()
    return tuple(
        Keypoint(y, x, 2 if score >= _SEEN else int(score > 0))
        for (y, x), score in zip(points, scores, strict=True)
    )

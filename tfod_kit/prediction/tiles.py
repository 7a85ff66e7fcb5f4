"""Large pictures in parts: small objects stay large enough for the model, none is cut in two.

A model shrinks every picture to its input size, and a small object in a large picture shrinks to
nothing. So the picture is also shown in tiles that overlap, beside the whole one, which has the
objects that no tile holds; what was found more than once becomes one object again. The idea is
that of slicing aided inference (Akyon, Altinuc, Temizel: "Slicing Aided Hyper Inference and
Fine-tuning for Small Object Detection", ICIP 2022).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tfod_kit.core.annotations import Keypoint, ObjectAnnotation, Rle
from tfod_kit.core.boxes import Box, enclosing
from tfod_kit.core.overlap import pairwise_containment, pairwise_iou
from tfod_kit.prediction import overlap

_EDGE = 0.015  # of a tile's side: a box that ends so near its edge may go on beyond it
_DUPLICATE = 0.5  # IoU: one object seen in two tiles
_PIECE = 0.6  # share of the smaller that lies in the other: a piece of an object seen whole
_SAME = 1e-6  # two edges this near are one
_ALIGNED = 0.6  # IoU across the cut: two pieces of one object


@dataclass(frozen=True, slots=True)
class Tiling:
    """How pictures are cut.

    Attributes:
      side: px of a tile.
      overlap: the share of a tile that its neighbour has too; in [0, 0.9].
    """

    side: int
    overlap: float = 0.2


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of a picture, in px: its left upper corner and its size."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Seen:
    """An object in the picture's own measures; which of its edges (ymin, xmin, ymax, xmax) the
    tile cut."""

    item: ObjectAnnotation
    cut: tuple[bool, bool, bool, bool]

    @property
    def whole(self) -> bool:
        return not any(self.cut)


def tiles(width: int, height: int, tiling: Tiling) -> list[Tile]:
    """The parts that a picture is shown in: itself first, and its tiles if it is larger than one.

    Tiles at the right and lower edge are moved in, so that all are of one size.
    """
    whole = Tile(0, 0, width, height)
    if max(width, height) <= tiling.side:
        return [whole]
    across, down = min(tiling.side, width), min(tiling.side, height)
    parts = [
        Tile(left, top, across, down)
        for top in _starts(height, down, tiling.overlap)
        for left in _starts(width, across, tiling.overlap)
    ]
    return [whole, *parts]


def _starts(length: int, side: int, shared: float) -> list[int]:
    """Where tiles begin along one edge: evenly spread, neighbours sharing at least `shared`."""
    if length <= side:
        return [0]
    steps = math.ceil((length - side) / max(side * (1 - shared), 1))
    return [round(step * (length - side) / steps) for step in range(steps + 1)]


def crop(pixels: Any, tile: Tile) -> Any:
    """The tile's part of an array [height, width, 3]; no copy."""
    return pixels[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]


def merged(
    found: Sequence[Sequence[ObjectAnnotation]], parts: Sequence[Tile]
) -> tuple[ObjectAnnotation, ...]:
    """The objects of a picture from those of its parts, each once, best first.

    Args:
      found: the objects of each part, their boxes in the part's own measures.
      parts: as `tiles` gave them, the whole picture first.
    """
    whole = parts[0]
    if len(parts) == 1:
        return tuple(found[0])
    seen = [
        _in_picture(item, part, whole)
        for objects, part in zip(found, parts, strict=True)
        for item in objects
    ]
    by_class: dict[str, list[_Seen]] = {}
    for one in seen:
        by_class.setdefault(one.item.label, []).append(one)
    kept = [item for rows in by_class.values() for item in _united(_joined(rows))]
    return tuple(sorted(kept, key=lambda item: -(item.score or 0.0)))


def _in_picture(item: ObjectAnnotation, part: Tile, whole: Tile) -> _Seen:
    box = item.box
    inner = (part.top > 0, part.left > 0, part.top + part.height < whole.height,
             part.left + part.width < whole.width)  # fmt: skip
    near = (box.ymin < _EDGE, box.xmin < _EDGE, box.ymax > 1 - _EDGE, box.xmax > 1 - _EDGE)
    cut = tuple(at and edge for at, edge in zip(inner, near, strict=True))
    if part == whole:
        return _Seen(item, (False,) * 4)

    def y(value: float) -> float:
        return (part.top + value * part.height) / whole.height

    def x(value: float) -> float:
        return (part.left + value * part.width) / whole.width

    moved = replace(
        item,
        box=Box(y(box.ymin), x(box.xmin), y(box.ymax), x(box.xmax)),
        mask=_moved_mask(item.mask, part, whole) if isinstance(item.mask, Rle) else None,
        keypoints=tuple(
            Keypoint(y(point.y), x(point.x), point.visibility, point.name)
            for point in item.keypoints
        ),
    )
    return _Seen(moved, cut)  # type: ignore[arg-type]


def _moved_mask(mask: Rle, part: Tile, whole: Tile) -> Rle:
    """The tile's mask in the picture's frame."""
    import numpy as np
    from pycocotools import mask as coco_mask

    pixels = np.zeros((whole.height, whole.width), np.uint8, order="F")
    inside = coco_mask.decode({"counts": mask.counts, "size": [mask.height, mask.width]})
    crop(pixels, part)[...] = inside
    return Rle(coco_mask.encode(pixels)["counts"], whole.height, whole.width)


def _joined(rows: list[_Seen]) -> list[_Seen]:
    """Pieces of objects that tile edges cut, put together; whole objects as they are.

    Each pair that fits becomes one, which may fit the next: an object across four tiles is joined
    in three steps.
    """
    whole = [one for one in rows if one.whole]
    pieces = [one for one in rows if not one.whole]
    done: list[_Seen] = []
    while pieces:
        one = pieces.pop()
        fitting = next((other for other in pieces if _fit(one, other)), None)
        if fitting is None:
            done.append(one)
        else:
            pieces.remove(fitting)
            pieces.append(_union(one, fitting))
    return whole + done


def _fit(one: _Seen, other: _Seen) -> bool:
    """Whether two pieces touch along a cut and match across it."""
    a, b = one.item.box, other.item.box
    rows = (min(a.ymax, b.ymax) - max(a.ymin, b.ymin), max(a.ymax, b.ymax) - min(a.ymin, b.ymin))
    columns = (min(a.xmax, b.xmax) - max(a.xmin, b.xmin), max(a.xmax, b.xmax) - min(a.xmin, b.xmin))
    if min(rows[0], columns[0]) <= 0:
        return False
    side_by_side = (one.cut[3] and other.cut[1]) or (one.cut[1] and other.cut[3])
    stacked = (one.cut[2] and other.cut[0]) or (one.cut[0] and other.cut[2])
    return (side_by_side and rows[0] >= _ALIGNED * rows[1]) or (
        stacked and columns[0] >= _ALIGNED * columns[1]
    )


def _union(one: _Seen, other: _Seen) -> _Seen:
    """One object of two pieces: the box round both, the higher score, the masks' union.

    An edge counts as cut where every piece that reaches it is cut there.
    """
    best, less = sorted((one, other), key=lambda row: -(row.item.score or 0.0))
    box = enclosing((one.item.box, other.item.box))
    edges = ("ymin", "xmin", "ymax", "xmax")
    cut = tuple(
        all(
            row.cut[place]
            for row in (one, other)
            if abs(getattr(row.item.box, edge) - getattr(box, edge)) < _SAME
        )
        for place, edge in enumerate(edges)
    )
    item = replace(best.item, box=box, mask=_both(best.item.mask, less.item.mask))
    return _Seen(item, cut)  # type: ignore[arg-type]


def _both(one: Any, other: Any) -> Any:
    from pycocotools import mask as coco_mask

    if not (isinstance(one, Rle) and isinstance(other, Rle)):
        return one or other
    rows = [{"counts": each.counts, "size": [each.height, each.width]} for each in (one, other)]
    return Rle(coco_mask.merge(rows)["counts"], one.height, one.width)


def _united(rows: list[_Seen]) -> list[ObjectAnnotation]:
    """Each object of one class once: whole ones first, the better before the worse; then pieces,
    the larger before the smaller, which may lie in it."""

    def rank(row: _Seen) -> tuple[bool, float]:
        return not row.whole, -((row.item.score or 0.0) if row.whole else row.item.box.area)

    ordered = sorted(rows, key=rank)
    boxes = overlap.corners([row.item for row in ordered])
    same = pairwise_iou(boxes, boxes) > _DUPLICATE
    within = pairwise_containment(boxes) > _PIECE
    kept: list[int] = []
    for place, row in enumerate(ordered):
        before = same[place] if row.whole else same[place] | within[place]
        if not any(before[other] for other in kept):
            kept.append(place)
    return [ordered[place].item for place in kept]

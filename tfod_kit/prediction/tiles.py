"""Detection in tiles of large images, so that small objects stay large enough for the model.

A model scales every image to its input size, and a small object in a large image shrinks to
nothing. So the model also detects in overlapping tiles, besides the whole image, which has the
objects that are larger than a tile. Objects that are found more than once are merged. A part of an
object at the edge of a tile is often taken for another class; where the neighbouring tile shows the
whole object, the part is dropped. The idea is
slicing aided inference (Akyon, Altinuc, Temizel: "Slicing Aided Hyper Inference and Fine-tuning for
Small Object Detection", ICIP 2022).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tfod_kit.core.annotations import Keypoint, ObjectAnnotation, Polygons, Rle
from tfod_kit.core.boxes import Box, enclosing
from tfod_kit.core.overlap import area, intersection, pairwise_containment, pairwise_iou
from tfod_kit.prediction import overlap

Mask = Polygons | Rle | None

_EDGE = 0.015  # fraction of a tile's side: a box that ends this close to its edge may be cut
_DUPLICATE = 0.5  # IoU of one object detected in two tiles
_PIECE = 0.6  # fraction of the smaller box inside the other: a piece of a whole object
_BEYOND = 0.05  # fraction of a piece's side by which a whole object continues beyond the cut
_SAME = 1e-6  # two edges this close are equal
_ALIGNED = 0.6  # IoU along the cut of two pieces of one object


@dataclass(frozen=True, slots=True)
class Tiling:
    """How to cut images into tiles.

    Attributes:
      side: px of a tile.
      overlap: the fraction of a tile that its neighbour covers too, in [0, 0.9].
      full_image: whether to detect in the whole image too, which finds objects larger than a tile.
    """

    side: int
    overlap: float = 0.2
    full_image: bool = True


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of an image, in px: its top left corner and its size."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """An object in the image's coordinates, and which edges (ymin, xmin, ymax, xmax) a tile cut."""

    item: ObjectAnnotation
    cut: tuple[bool, bool, bool, bool]

    @property
    def whole(self) -> bool:
        return not any(self.cut)


def tiles(width: int, height: int, tiling: Tiling) -> list[Tile]:
    """The parts of an image to detect in: the whole image, and tiles if it is larger than one.

    Tiles are spread evenly, so that all have the same size.
    """
    whole = Tile(0, 0, width, height)
    if max(width, height) <= tiling.side:
        return [whole]
    columns, rows = min(tiling.side, width), min(tiling.side, height)
    parts = [
        Tile(left, top, columns, rows)
        for top in _starts(height, rows, tiling.overlap)
        for left in _starts(width, columns, tiling.overlap)
    ]
    return [whole, *parts]


def _starts(length: int, side: int, shared: float) -> list[int]:
    """Where tiles start along one edge: evenly spread, neighbours sharing at least `shared`."""
    if length <= side:
        return [0]
    steps = math.ceil((length - side) / max(side * (1 - shared), 1))
    return [round(step * (length - side) / steps) for step in range(steps + 1)]


def crop(pixels: Any, tile: Tile) -> Any:
    """The tile's part of an array [height, width, 3]; no copy."""
    return pixels[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]


def merge(
    detections: Sequence[Sequence[ObjectAnnotation]], parts: Sequence[Tile]
) -> tuple[ObjectAnnotation, ...]:
    """The objects of an image from those in its parts, each once, by descending score.

    Args:
      detections: the objects in each part, their boxes relative to the part.
      parts: as `tiles` returned them, the whole image first.
    """
    whole = parts[0]
    if len(parts) == 1:
        return tuple(detections[0])
    pieces = [
        _in_image(item, part, whole)
        for objects, part in zip(detections, parts, strict=True)
        for item in objects
    ]
    by_class: dict[str, list[_Piece]] = {}
    for one in pieces:
        by_class.setdefault(one.item.label, []).append(one)
    joined = _without_known_pieces([one for rows in by_class.values() for one in _join(rows)])
    by_class = {}
    for one in joined:
        by_class.setdefault(one.item.label, []).append(one)
    kept = [item for rows in by_class.values() for item in _without_duplicates(rows)]
    return tuple(sorted(kept, key=lambda item: -(item.score or 0.0)))


def _in_image(item: ObjectAnnotation, part: Tile, whole: Tile) -> _Piece:
    box = item.box
    inner = (part.top > 0, part.left > 0, part.top + part.height < whole.height,
             part.left + part.width < whole.width)  # fmt: skip
    near = (box.ymin < _EDGE, box.xmin < _EDGE, box.ymax > 1 - _EDGE, box.xmax > 1 - _EDGE)
    cut = tuple(at and edge for at, edge in zip(inner, near, strict=True))
    if part == whole:
        return _Piece(item, (False,) * 4)

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
    return _Piece(moved, cut)  # type: ignore[arg-type]


def _moved_mask(mask: Rle, part: Tile, whole: Tile) -> Rle:
    """The mask of a tile in the image's coordinates."""
    import numpy as np
    from pycocotools import mask as coco_mask

    pixels = np.zeros((whole.height, whole.width), np.uint8, order="F")
    inside = coco_mask.decode({"counts": mask.counts, "size": [mask.height, mask.width]})
    crop(pixels, part)[...] = inside
    return Rle(coco_mask.encode(pixels)["counts"], whole.height, whole.width)


def _join(rows: list[_Piece]) -> list[_Piece]:
    """Joins the pieces of objects that tile edges cut; whole objects stay as they are.

    Each matching pair becomes one piece, which may match the next: an object across four tiles is
    joined in three steps.
    """
    whole = [one for one in rows if one.whole]
    pieces = [one for one in rows if not one.whole]
    joined: list[_Piece] = []
    while pieces:
        one = pieces.pop()
        matching = next((other for other in pieces if _match(one, other)), None)
        if matching is None:
            joined.append(one)
        else:
            pieces.remove(matching)
            pieces.append(_union(one, matching))
    return whole + joined


def _match(one: _Piece, other: _Piece) -> bool:
    """Whether two pieces touch along a cut and are aligned across it."""
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


def _union(one: _Piece, other: _Piece) -> _Piece:
    """Two pieces as one: the box enclosing both, the higher score and the union of the masks.

    An edge counts as cut if every piece that reaches it is cut there.
    """
    best, other_piece = sorted((one, other), key=lambda row: -(row.item.score or 0.0))
    box = enclosing((one.item.box, other.item.box))
    edges = ("ymin", "xmin", "ymax", "xmax")
    cut = tuple(
        all(
            row.cut[index]
            for row in (one, other)
            if abs(getattr(row.item.box, edge) - getattr(box, edge)) < _SAME
        )
        for index, edge in enumerate(edges)
    )
    item = replace(best.item, box=box, mask=_mask_union(best.item.mask, other_piece.item.mask))
    return _Piece(item, cut)  # type: ignore[arg-type]


def _mask_union(one: Mask, other: Mask) -> Mask:
    from pycocotools import mask as coco_mask

    if not (isinstance(one, Rle) and isinstance(other, Rle)):
        return one or other
    rows = [{"counts": each.counts, "size": [each.height, each.width]} for each in (one, other)]
    return Rle(coco_mask.merge(rows)["counts"], one.height, one.width)


def _without_known_pieces(rows: list[_Piece]) -> list[_Piece]:
    """Drops pieces of objects that are detected whole, whatever class the piece was taken for.

    The piece is inside the whole object, which continues beyond the edge that cut the piece.
    """
    import numpy as np

    whole = [one.item for one in rows if one.whole]
    if not whole:
        return rows
    boxes = overlap.corners(whole)
    kept = []
    for one in rows:
        if not one.whole:
            (piece,) = overlap.corners([one.item])
            inside = intersection(boxes, piece) > _PIECE * area(piece)
            side = np.tile(piece[2:] - piece[:2], 2) * _BEYOND
            # How far each whole object continues beyond each edge of the piece.
            continues = np.concatenate((piece[:2] - boxes[:, :2], boxes[:, 2:] - piece[2:]), axis=1)
            if (inside & (continues > side)[:, list(one.cut)].any(axis=1)).any():
                continue
        kept.append(one)
    return kept


def _without_duplicates(rows: list[_Piece]) -> list[ObjectAnnotation]:
    """The objects of one class, each once.

    Whole objects take precedence over pieces, higher-scoring over lower-scoring ones, and larger
    pieces over smaller ones, which may be inside them.
    """

    def rank(row: _Piece) -> tuple[bool, float]:
        return not row.whole, -((row.item.score or 0.0) if row.whole else row.item.box.area)

    ordered = sorted(rows, key=rank)
    boxes = overlap.corners([row.item for row in ordered])
    same = pairwise_iou(boxes, boxes) > _DUPLICATE
    within = pairwise_containment(boxes) > _PIECE
    kept: list[int] = []
    for index, row in enumerate(ordered):
        covered = same[index] if row.whole else same[index] | within[index]
        if not any(covered[other] for other in kept):
            kept.append(index)
    return [ordered[index].item for index in kept]

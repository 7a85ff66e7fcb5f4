"""One annotated image <-> one serialised tf.train.Example; the only list of feature keys.

The keys are those that upstream's TfExampleDecoder reads.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from tfod_kit.core.annotations import (
    ImageAnnotation,
    Keypoint,
    ObjectAnnotation,
    Rle,
    Searched,
)
from tfod_kit.core.boxes import Box
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import DataError
from tfod_kit.io.files import readable
from tfod_kit.records import example_proto, feature_keys
from tfod_kit.records.images import EncodedImage
from tfod_kit.records.rasters import masks

_FLAGS = {
    feature_keys.IS_CROWD: "is_crowd",
    feature_keys.DIFFICULT: "difficult",
    feature_keys.TRUNCATED: "truncated",
    feature_keys.OCCLUDED: "occluded",
    feature_keys.GROUP_OF: "group_of",
}
_EDGES = {
    feature_keys.YMIN: "ymin",
    feature_keys.XMIN: "xmin",
    feature_keys.YMAX: "ymax",
    feature_keys.XMAX: "xmax",
}
_SEARCHED = {
    feature_keys.ABSENT_CLASSES: "absent",
    feature_keys.PARTLY_ANNOTATED_CLASSES: "partly",
}
_flags, _edges = attrgetter(*_FLAGS.values()), attrgetter(*_EDGES.values())


def keypoint_names(annotations: Iterable[ImageAnnotation]) -> tuple[str, ...]:
    """The names of the keypoints of the object with the most; "" for those without a name.

    Upstream requires the same number of keypoints for every object of a data set.
    """
    points = (item.keypoints for annotation in annotations for item in annotation.with_keypoints)
    return tuple(point.name for point in max(points, key=len, default=()))


def encode(
    annotation: ImageAnnotation,
    image: EncodedImage,
    label_map: LabelMap,
    keypoints: Sequence[str] = (),
    pngs: Sequence[bytes] | None = None,
) -> bytes:
    """The serialised example; the same arguments give the same bytes.

    Args:
      annotation: ground truth whose boxes are inside `image`. Only the name of its image is stored,
        so that records do not depend on the machine that wrote them.
      image: the bytes to store, and its size in pixels.
      label_map: the ids of the classes.
      keypoints: the names of the keypoints of every object, as `keypoint_names` returns them for
        the data set; missing ones are written as not labelled. Empty for those of this image.
      pngs: of the masks, as `mask_pngs` returns them; None encodes them here.

    Raises:
      ConfigError: the label map lacks a class.
    """
    features = example_proto.kind("Features")()
    put = _Writer(features.feature)
    put.bytes(feature_keys.FORMAT, [image.format.encode()])
    put.bytes(feature_keys.FILENAME, [readable(annotation.image.name).encode()])
    put.bytes(feature_keys.SOURCE_ID, [annotation.source_id.encode()])
    digest = image.sha256 if image.untouched else hashlib.sha256(image.data).digest()
    put.bytes(feature_keys.SHA256, [digest.hex().encode()])
    put.ints(feature_keys.HEIGHT, [image.height])
    put.ints(feature_keys.WIDTH, [image.width])
    for key, name in _SEARCHED.items():
        if annotation.searched is not None:
            classes = getattr(annotation.searched, name)
            put.ints(key, [label_map.id_of(label) for label in classes if label in label_map])
    _put_objects(put, annotation.objects, label_map)
    if pngs is None:
        (pngs,) = mask_pngs([(annotation, image)])
    _put_masks(put, annotation.objects, pngs)
    _put_keypoints(put, annotation.objects, keypoints or keypoint_names([annotation]))
    others = features.SerializeToString(deterministic=True)
    return example_proto.example(feature_keys.ENCODED, image.data, others)


def decode(
    serialized: bytes, label_map: LabelMap | None = None, *, bad_masks: list[str] | None = None
) -> tuple[ImageAnnotation, EncodedImage]:
    """The arguments of `encode`: boxes as float32, masks as run lengths, `image` a bare file name.

    Args:
      serialized: one record.
      label_map: names the classes of records that contain only ids.
      bad_masks: takes what is wrong with the masks that cannot be decoded, whose objects are kept
        without them; None to raise an error for such a mask.

    Raises:
      DataError: the bytes are not an Example, or an object has no class name that can be found.
      Exception: a list has another length or type than it should, or a mask is invalid.
    """
    get = _Reader(example_proto.parse(serialized).features.feature)
    image = EncodedImage(
        data=get.text(feature_keys.ENCODED),
        format=get.text(feature_keys.FORMAT).decode() or "jpeg",
        width=get.number(feature_keys.WIDTH),
        height=get.number(feature_keys.HEIGHT),
    )
    annotation = ImageAnnotation(
        image=Path(get.text(feature_keys.FILENAME).decode()),
        width=image.width,
        height=image.height,
        source_id=get.text(feature_keys.SOURCE_ID).decode(),
        objects=_objects(get, label_map, bad_masks),
        searched=_searched(get, label_map),
    )
    return annotation, image


def _searched(get: "_Reader", label_map: LabelMap | None) -> Searched | None:
    """What the image was searched for; None if the record does not state it, or without names."""
    if label_map is None or not any(key in get.feature for key in _SEARCHED):
        return None
    names = label_map.names
    lists = (
        tuple(names[number] for number in get.values(key) if number in names) for key in _SEARCHED
    )
    return Searched(*lists)


class _Writer:
    """Fills Features.feature with one list for each key."""

    def __init__(self, feature: Any) -> None:
        self._feature = feature

    def bytes(self, key: str, values: Sequence[bytes]) -> None:
        self._feature[key].bytes_list.value.extend(values)

    def floats(self, key: str, values: Sequence[float]) -> None:
        self._feature[key].float_list.value.extend(values)

    def ints(self, key: str, values: Sequence[int]) -> None:
        self._feature[key].int64_list.value.extend(values)


class _Reader:
    """Reads Features.feature; a missing key is an empty list, as for upstream."""

    def __init__(self, feature: Any) -> None:
        self.feature = feature

    def values(self, key: str) -> Sequence[Any]:
        if key not in self.feature:
            return ()
        feature = self.feature[key]
        kind = feature.WhichOneof("kind")
        return getattr(feature, kind).value if kind else ()

    def text(self, key: str) -> bytes:
        return next(iter(self.values(key)), b"")

    def number(self, key: str) -> int:
        return next(iter(self.values(key)), 0)


def _put_objects(put: _Writer, objects: Sequence[ObjectAnnotation], label_map: LabelMap) -> None:
    for key, edges in _columns(_EDGES, _edges, [item.box for item in objects]):
        put.floats(key, edges)
    put.bytes(feature_keys.CLASS_TEXT, [item.label.encode() for item in objects])
    put.ints(feature_keys.CLASS_LABEL, [label_map.id_of(item.label) for item in objects])
    for key, flags in _columns(_FLAGS, _flags, objects):
        put.ints(key, list(map(int, flags)))
    if any(item.area is not None for item in objects):
        # Upstream's evaluation takes the box's area where it reads 0.
        put.floats(feature_keys.AREA, [item.area or 0.0 for item in objects])
    if any(item.view for item in objects):
        put.bytes(feature_keys.VIEW, [item.view.encode() for item in objects])
    if any(item.weight != 1.0 for item in objects):
        put.floats(feature_keys.WEIGHT, [item.weight for item in objects])


def _columns(
    keys: Iterable[str], values: Callable[[Any], tuple[Any, ...]], items: Sequence[object]
) -> Iterable[tuple[str, Sequence[Any]]]:
    """Each key with the values of all items; reading item by item would take twice as long."""
    columns = zip(*map(values, items), strict=True) if items else ((),) * len(tuple(keys))
    return zip(keys, columns, strict=True)


def mask_pngs(pairs: Sequence[tuple[ImageAnnotation, EncodedImage]]) -> list[Sequence[bytes]]:
    """The PNGs of the objects of each image; empty if no object has a mask.

    Images of the same size are rasterised together, which takes half the time.
    """
    pngs: list[Sequence[bytes]] = [()] * len(pairs)
    by_size: dict[tuple[int, int], list[int]] = {}
    for index, (annotation, image) in enumerate(pairs):
        if any(item.mask is not None for item in annotation.objects):
            by_size.setdefault((image.height, image.width), []).append(index)
    for size, indices in by_size.items():
        same_size = [item.mask for index in indices for item in pairs[index][0].objects]
        encoded = iter(masks.to_pngs(same_size, *size))
        for index in indices:
            pngs[index] = list(islice(encoded, len(pairs[index][0].objects)))
    return pngs


def _put_masks(put: _Writer, objects: Sequence[ObjectAnnotation], pngs: Sequence[bytes]) -> None:
    if not pngs:
        return
    # The lists are parallel to the boxes: an object without a mask has an empty one of weight 0.
    put.bytes(feature_keys.MASK, pngs)
    put.floats(feature_keys.MASK_WEIGHT, [float(item.mask is not None) for item in objects])


def _put_keypoints(put: _Writer, objects: Sequence[ObjectAnnotation], names: Sequence[str]) -> None:
    if not names or not objects:
        return
    unlabelled = [Keypoint(0.0, 0.0, 0, name) for name in names]
    points = [
        point for item in objects for point in (*item.keypoints, *unlabelled[len(item.keypoints) :])
    ]
    put.floats(feature_keys.KEYPOINT_Y, [point.y for point in points])
    put.floats(feature_keys.KEYPOINT_X, [point.x for point in points])
    put.ints(feature_keys.KEYPOINT_VISIBILITY, [point.visibility for point in points])
    if any(names):
        put.bytes(feature_keys.KEYPOINT_TEXT, [point.name.encode() for point in points])


def _objects(
    get: _Reader, label_map: LabelMap | None, bad_masks: list[str] | None
) -> tuple[ObjectAnnotation, ...]:
    edges = [get.values(key) for key in _EDGES]
    labels = _labels(get, len(edges[0]), label_map)
    if any(len(edge) != len(labels) for edge in edges):
        raise DataError(
            "The numbers of box edges and classes of a record differ.",
            where=f"{feature_keys.SOURCE_ID} {get.text(feature_keys.SOURCE_ID).decode()!r}",
            found=f"{[len(edge) for edge in edges]} edges, {len(labels)} classes",
            fix="Convert the data set again.",
        )
    flags = {name: get.values(key) for key, name in _FLAGS.items()}
    areas, views, weights = (
        get.values(feature_keys.AREA),
        get.values(feature_keys.VIEW),
        get.values(feature_keys.WEIGHT),
    )
    shapes = _masks(get, bad_masks)
    points = _keypoints(get, len(labels))
    return tuple(
        ObjectAnnotation(
            label=label,
            box=Box(*box),
            mask=shapes[index] if shapes else None,
            keypoints=points[index],
            area=(areas[index] or None) if areas else None,
            view=views[index].decode() if views else "",
            weight=weights[index] if weights else 1.0,
            **{name: bool(values[index]) for name, values in flags.items() if values},
        )
        for index, (label, box) in enumerate(zip(labels, zip(*edges, strict=True), strict=True))
    )


def _labels(get: _Reader, number: int, label_map: LabelMap | None) -> list[str]:
    texts = [text.decode() for text in get.values(feature_keys.CLASS_TEXT)]
    if texts or not number:
        return texts
    names = label_map.names if label_map else {}
    ids = list(get.values(feature_keys.CLASS_LABEL))
    unknown = [number for number in ids if number not in names]
    if unknown or not ids:
        raise DataError(
            "The objects of a record have no class names.",
            where=f"{feature_keys.SOURCE_ID} {get.text(feature_keys.SOURCE_ID).decode()!r}",
            found=f"class ids {ids}",
            fix="Give the label map that the records were written with.",
        )
    return [names[number] for number in ids]


def _masks(get: _Reader, bad_masks: list[str] | None) -> list[Rle | None]:
    """The mask of each object; [] if the record has none."""
    weights = get.values(feature_keys.MASK_WEIGHT)
    decoded: list[Rle | None] = []
    for index, png in enumerate(get.values(feature_keys.MASK)):
        try:
            decoded.append(masks.from_png(png) if not weights or weights[index] else None)
        except Exception as error:  # of Pillow's decoders
            if bad_masks is None:
                raise
            bad_masks.append(f"mask {index + 1}: {error}")
            decoded.append(None)
    return decoded


def _keypoints(get: _Reader, objects: int) -> list[tuple[Keypoint, ...]]:
    ys, xs = get.values(feature_keys.KEYPOINT_Y), get.values(feature_keys.KEYPOINT_X)
    visibility = get.values(feature_keys.KEYPOINT_VISIBILITY)
    names = [text.decode() for text in get.values(feature_keys.KEYPOINT_TEXT)] or [""] * len(ys)
    points = [Keypoint(*point) for point in zip(ys, xs, visibility, names, strict=False)]
    each = len(points) // objects if objects else 0
    groups = [tuple(points[start * each : (start + 1) * each]) for start in range(objects)]
    # All unlabelled: padding of an object without keypoints beside one with keypoints.
    return [group if any(point.visibility for point in group) else () for group in groups]

"""Keypoints as CVAT's skeletons.

A skeleton of CVAT has a class of its own and no box. An object with keypoints is therefore written
as two shapes of one group: its box, polygon or mask, and a skeleton of the class "CLASS keypoints".
Reading joins such a pair; any other skeleton is an object, whose box encloses its points.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tfod_kit.core.annotations import ImageAnnotation, Keypoint, ObjectAnnotation
from tfod_kit.formats.common import reading
from tfod_kit.formats.common.tables import tidy
from tfod_kit.formats.common.xml_element import Element, add, add_text, storable

TAG = "skeleton"
_SUFFIX = " keypoints"
_NO_GROUP = ("", "0")


def keypoints(shape: Element, size: tuple[int, int]) -> list[Keypoint]:
    """The points of a skeleton, in the order of the file; those outside are not labelled.

    Raises:
      ValueError: a coordinate is not a number.
    """
    points = []
    for element in shape.iterfind("points"):
        x, y = _position(element.get("points", ""))
        outside, hidden = element.get("outside") == "1", element.get("occluded") == "1"
        name = reading.name(element.get("label", ""))
        points.append(Keypoint(y / size[1], x / size[0], 0 if outside else 2 - hidden, name))
    return points


def _position(text: str) -> tuple[float, float]:
    """The point of "x,y"; (0, 0) for an empty text, as points outside may have."""
    if not text.strip(" ;"):
        return 0.0, 0.0
    x, comma, y = text.partition(",")
    if not comma:
        raise ValueError(f"points {text[:40]!r}")
    return reading.number(x), reading.number(y)


def joined(pairs: Sequence[tuple[Element, ObjectAnnotation]]) -> tuple[ObjectAnnotation, ...]:
    """The objects of an image; a skeleton gives its keypoints to the other shape of its group."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, (shape, _) in enumerate(pairs):
        group = shape.get("group_id", "")
        if group not in _NO_GROUP:
            groups[group].append(index)
    objects: list[ObjectAnnotation | None] = [item for _, item in pairs]
    for members in groups.values():
        if len(members) != 2:
            continue
        skeleton, other = sorted(members, key=lambda index: pairs[index][0].tag != TAG)
        owner, pose = pairs[other][1], pairs[skeleton][1]
        is_pair = pairs[skeleton][0].tag == TAG != pairs[other][0].tag
        if is_pair and pose.label == owner.label + _SUFFIX:
            objects[other] = replace(owner, keypoints=pose.keypoints)
            objects[skeleton] = None
    return tuple(item for item in objects if item is not None)


def names(annotations: Iterable[ImageAnnotation]) -> dict[str, tuple[str, ...]]:
    """Class -> the names of its keypoints, from the object that has the most."""
    longest: dict[str, tuple[Keypoint, ...]] = {}
    for annotation in annotations:
        for item in annotation.objects:
            if len(item.keypoints) > len(longest.get(item.label, ())):
                longest[item.label] = item.keypoints
    return {
        label: tuple(_name(point, number) for number, point in enumerate(points, start=1))
        for label, points in longest.items()
    }


def declare(labels: Element, named: Mapping[str, Sequence[str]]) -> None:
    """Adds the classes of the skeletons and of their points to the list of classes."""
    for label, points in named.items():
        parent = label + _SUFFIX
        _add_label(labels, parent, "skeleton")
        for point in points:
            add_text(_add_label(labels, point, "points"), "parent", parent)


def _add_label(labels: Element, name: str, kind: str) -> Element:
    label = add(labels, "label")
    add_text(label, "name", name)
    add_text(label, "type", kind)
    return label


def add_skeleton(image: Element, item: ObjectAnnotation, size: tuple[int, int], group: int) -> None:
    """Adds the keypoints of an object; points that are not labelled are outside."""
    skeleton = add(image, TAG)
    attributes = {"label": item.label + _SUFFIX, "source": "manual", "z_order": 0}
    _set(skeleton, {**attributes, "group_id": group})
    for number, point in enumerate(item.keypoints, start=1):
        position = f"{tidy(point.x * size[0])},{tidy(point.y * size[1])}"
        states = {"outside": int(not point.visibility), "occluded": int(point.visibility == 1)}
        _set(
            add(skeleton, "points"),
            {"label": _name(point, number), "source": "manual", **states, "points": position},
        )


def _name(point: Keypoint, number: int) -> str:
    return point.name or str(number)


def _set(element: Element, attributes: Mapping[str, object]) -> None:
    for name, value in attributes.items():
        element.set(name, storable(str(value)))

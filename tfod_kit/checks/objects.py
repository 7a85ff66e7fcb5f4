"""Boxes and classes of a split: all at once, as arrays."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from tfod_kit.checks.findings import EXAMPLES, CheckFindings, Location
from tfod_kit.checks.scan import SplitFacts
from tfod_kit.core.labels import LabelMap
from tfod_kit.errors import did_you_mean

_Class: TypeAlias = tuple[bytes | None, int | None]  # the name and the id of an object

# Upstream takes a coordinate above this for a pixel (core/box_list_ops.py, to_absolute_coordinates)
_LARGEST = 1.1
# What float32 can do to an edge at the border.
_SLACK = 1e-4
# A side that is shorter at the model's input covers no more than a fraction of a feature cell.
LEAST_SIDE = 2.0
_TINY_SHARE = 0.01  # below this share, small boxes are a note
_CONVERT = "Convert the data set anew with `tfod convert`, which repairs and counts such boxes."


_WRONG = {
    "box_not_a_number": "Boxes that are not numbers: upstream drops them silently.",
    "box_in_pixels": "Boxes in pixels, or far outside the picture: the API wants fractions of its "
    "size. Training stops with 'maximum box coordinate value is larger than 1.100000', or learns "
    "nothing.",
    "box_inverted": "Boxes whose maximum lies before their minimum: training stops with "
    "'assertion failed'.",
    "box_empty": "Boxes without area: the loss can become NaN.",
}


def check_boxes(
    facts: SplitFacts, scale: Callable[[Any], Any] | None, findings: CheckFindings
) -> None:
    """Looks at every box.

    Args:
      facts: a split.
      scale: gives, for picture sizes [N, 2] as (width, height), the sizes at the model's input;
        None where no model is known.
      findings: takes what is wrong.
    """
    import numpy as np

    if not facts.owner:
        return
    boxes = facts.boxes()
    finite = np.isfinite(boxes).all(axis=1)
    usable = np.where(finite[:, None], boxes, 0.0)
    ymin, xmin, ymax, xmax = usable.T
    height, width = ymax - ymin, xmax - xmin
    pixels = finite & (usable.max(axis=1) > _LARGEST)
    inverted = finite & ((height < 0) | (width < 0))
    empty = finite & ~inverted & ((height == 0) | (width == 0))
    outside = (
        finite & ~pixels & ((usable.min(axis=1) < -_SLACK) | (usable.max(axis=1) > 1 + _SLACK))
    )

    def found(mask: Any, limit: int = EXAMPLES) -> tuple[Location, ...]:
        return tuple(
            facts.location(
                facts.owner[at], f"box {np.round(boxes[at], 4).tolist()} (ymin, xmin, ...)"
            )
            for at in np.flatnonzero(mask)[:limit]
        )

    masks = {
        "box_not_a_number": ~finite,
        "box_in_pixels": pixels,
        "box_inverted": inverted,
        "box_empty": empty,
    }
    for code, mask in masks.items():
        if mask.any():
            findings.error(code, _WRONG[code], *found(mask), fix=_CONVERT, count=int(mask.sum()))
    if outside.any():
        findings.warning(
            "box_outside",
            "Boxes that reach over the picture's edge.",
            *found(outside),
            fix=_CONVERT,
            count=int(outside.sum()),
        )
    if scale is not None:
        sound = finite & ~pixels & ~inverted & ~empty
        _check_tiny(facts, width, height, sound, scale, found, findings)


def _check_tiny(
    facts: SplitFacts,
    width: Any,
    height: Any,
    usable: Any,
    scale: Callable[[Any], Any],
    found: Callable[[Any], tuple[Location, ...]],
    findings: CheckFindings,
) -> None:
    import numpy as np

    inputs = scale(np.asarray(facts.sizes, dtype=np.float64).reshape(-1, 2))[
        np.asarray(facts.owner)
    ]
    side = np.minimum(width * inputs[:, 0], height * inputs[:, 1])
    tiny = usable & (inputs.min(axis=1) > 0) & (side < LEAST_SIDE)
    if not tiny.any():
        return
    share = tiny.sum() / max(usable.sum(), 1)
    add = findings.warning if share >= _TINY_SHARE else findings.note
    add(
        "box_tiny",
        f"Boxes narrower than {LEAST_SIDE:g} px once the picture is resized to the model's input: "
        "they cannot be learned, and disturb the rest.",
        *found(tiny),
        fix="Take a model with a larger input, cut the pictures into tiles, or leave such boxes "
        "out.",
        count=int(tiny.sum()),
    )


def check_classes(
    facts: SplitFacts, label_map: LabelMap | None, num_classes: int | None, findings: CheckFindings
) -> Counter[str]:
    """Looks at every object's class; returns how many objects each class of the map has.

    Upstream looks a name up among the map's names and display names. An object whose name is in
    neither is dropped without a word, and so is one whose id is above num_classes.
    """
    pairs = Counter(zip(facts.texts, facts.ids, strict=True))
    if label_map is None:
        return Counter({_shown(text, number): count for (text, number), count in pairs.items()})
    names = _names(label_map)
    by_id = label_map.names
    known = {pair: _id_of(pair, names, by_id) for pair in pairs}
    wrong = {
        pair: number
        for pair, number in known.items()
        if number is None
        or number > (num_classes or number)
        or (None not in pair and pair[1] != number)
    }
    places = _places(facts, wrong)
    for pair, number in wrong.items():
        seen = places[pair], pairs[pair]
        if number is None:
            _unknown(pair, names, *seen, findings)
            continue
        if None not in pair and pair[1] != number:
            _differs(pair, number, *seen, findings)
        if number > (num_classes or number):
            findings.error(
                "class_above_num_classes",
                f"Objects whose class id is above num_classes, {num_classes}: they train nothing, "
                "without a word.",
                *_all_with(places[pair], f"{by_id[number]!r} has the id {number}"),
                fix=f"Set num_classes to {label_map.num_classes} (`tfod configure` does).",
                count=pairs[pair],
            )
    tally: Counter[str] = Counter()
    for pair, number in known.items():
        if number is not None:
            tally[by_id[number]] += pairs[pair]
    return tally


def _id_of(pair: _Class, names: Mapping[str, int], by_id: Mapping[int, str]) -> int | None:
    """The id that upstream finds; None for an unknown class."""
    text, number = pair
    if text is not None:
        return names.get(text.decode("utf-8", "replace"))
    return number if number in by_id else None


def _names(label_map: LabelMap) -> Mapping[str, int]:
    """name -> id, display names included, as upstream finds it."""
    shown = {label_map.display_names[name]: label_map.ids[name] for name in label_map.display_names}
    return shown | dict(label_map.ids)


def _shown(text: bytes | None, number: int | None) -> str:
    return text.decode("utf-8", "replace") if text is not None else f"id {number}"


def _places(facts: SplitFacts, wanted: Iterable[_Class]) -> Mapping[_Class, list[Location]]:
    """The first objects of each class that is wanted."""
    found: dict[_Class, list[Location]] = {pair: [] for pair in wanted}
    if found:
        for at, pair in enumerate(zip(facts.texts, facts.ids, strict=True)):
            if pair in found and len(found[pair]) < EXAMPLES:
                found[pair].append(facts.location(facts.owner[at]))
    return found


def _all_with(places: Iterable[Location], found: str) -> list[Location]:
    return [Location(place.file, place.record, found) for place in places]


def _unknown(
    pair: _Class,
    names: Mapping[str, int],
    places: list[Location],
    count: int,
    findings: CheckFindings,
) -> None:
    text, number = pair
    if text is None:
        findings.error(
            "class_id_unknown",
            "Class ids that the label map lacks, and no names: such objects train nothing.",
            *_all_with(places, f"id {number}"),
            fix="Use the label map that the records were written with.",
            count=count,
        )
        return
    name = _shown(text, number)
    findings.error(
        "class_unknown",
        f"The class {name!r} is not in the label map: upstream drops its objects without a word.",
        *places,
        fix=f"{did_you_mean(name, names)} Add it to the label map, or rename it and convert anew.",
        count=count,
    )


def _differs(
    pair: _Class, known: int, places: list[Location], count: int, findings: CheckFindings
) -> None:
    said = f"{_shown(*pair)!r} has the id {pair[1]}, and {known} in the map"
    findings.warning(
        "class_id_differs",
        "Class ids in the records are not the label map's: training goes by the names, other "
        "programs by the ids.",
        *_all_with(places, said),
        fix="Use the label map that the records were written with, or convert anew.",
        count=count,
    )

"""Draws the pictures with most errors, and some ordinary ones: ground truth at the left, detections
at the right, what was missed and what is false in red."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.drawing import visualize
from tfod_kit.evaluation import matching
from tfod_kit.evaluation.tables import Tables, objects
from tfod_kit.io import files
from tfod_kit.records import pixels
from tfod_kit.runs.results import ImageErrors, Results

if TYPE_CHECKING:
    from PIL import Image

FOLDER, SAMPLES = "worst", "samples"
_WRONG, _RIGHT, _APART = (214, 39, 40), (44, 140, 60), (120, 120, 120)
_MISSED, _FALSE, _CROWD = "missed", "false", "crowd"


def draw(
    results: Results,
    tables: Tables,
    pictures: Iterable[tuple[str, "Image.Image"]],
    out: Path,
) -> Results:
    """Draws the worst images into `out`/worst/SPLIT-STEP and the ordinary ones into `out`/samples,
    and returns the results that name them.

    Args:
      results: of the tables.
      tables: what was measured.
      pictures: source ids with their pictures, in any order; images without one are not drawn.
      out: where the results' document will lie.
    """
    below = f"{results.split}-{results.step or 0}"
    rows = {FOLDER: list(results.worst), SAMPLES: list(results.samples)}
    places = {
        image.source_id: (kind, place)
        for kind, images in rows.items()
        for place, image in enumerate(images)
    }
    sides = _sides(tables, results, set(places))
    with (
        files.atomic_folder(out / FOLDER / below) as worst,
        files.atomic_folder(out / SAMPLES / below) as samples,
    ):
        folders = {FOLDER: worst, SAMPLES: samples}
        for source_id, picture in pictures:
            kind, place = places[source_id]
            image = rows[kind][place]
            stem = re.sub(r"[^\w.-]+", "_", Path(image.file or source_id).stem)
            file = f"{place + 1:02}-{stem}.jpg"
            left, right = sides[source_id]
            both = visualize.side_by_side(_drawn(picture, left), _drawn(picture, right))
            both.save(folders[kind] / file, quality=92)
            rows[kind][place] = dataclasses.replace(image, drawn=f"{kind}/{below}/{file}")
    return dataclasses.replace(results, worst=tuple(rows[FOLDER]), samples=tuple(rows[SAMPLES]))


def find_images(folder: Path, wanted: Sequence[ImageErrors]) -> Iterator[tuple[str, "Image.Image"]]:
    """The pictures of that name in a folder, searched to any depth where the path is not right.

    Raises:
      DataError: one cannot be read.
    """
    for image in wanted:
        given = folder / image.file
        found = given if given.is_file() else next(folder.rglob(Path(image.file).name), None)
        if found is not None:
            yield image.source_id, pixels.open_image(found)


def _sides(
    tables: Tables, results: Results, wanted: set[str]
) -> dict[str, tuple[list[ObjectAnnotation], list[ObjectAnnotation]]]:
    """For each wanted image the objects and the detections above the threshold, labelled by what
    became of them."""
    matches = matching.match(tables).above(results.confusion.threshold)
    found = set(matches.truth_row[matches.match[matches.right]].tolist())
    chosen = {image["id"]: image for image in tables.images if image["source_id"] in wanted}
    sides: dict[str, tuple[list[ObjectAnnotation], list[ObjectAnnotation]]] = {
        image["source_id"]: ([], []) for image in chosen.values()
    }
    for place, row in enumerate(tables.truth):
        if image := chosen.get(row["image_id"]):
            mark = _CROWD if row["iscrowd"] else "" if place in found else _MISSED
            sides[image["source_id"]][0].append(
                _marked(objects([row], tables.names, image)[0], mark)
            )
    for place, number in enumerate(matches.found_row.tolist()):
        row = tables.found[number]
        if image := chosen.get(row["image_id"]):
            mark = "" if matches.right[place] else _CROWD if matches.ignored[place] else _FALSE
            item = objects([row], tables.names, image)[0]
            sides[image["source_id"]][1].append(_marked(item, mark))
    return sides


def _marked(item: ObjectAnnotation, mark: str) -> ObjectAnnotation:
    return dataclasses.replace(item, label=f"{mark} {item.label}") if mark else item


def _drawn(picture: "Image.Image", items: Sequence[ObjectAnnotation]) -> "Image.Image":
    colours = {}
    for item in items:
        mark = item.label.partition(" ")[0]
        wrong = mark in (_MISSED, _FALSE)
        colours[item.label] = _WRONG if wrong else _APART if mark == _CROWD else _RIGHT
    return visualize.draw(picture, items, colours)

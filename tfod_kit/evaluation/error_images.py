"""Draws the images with most errors, and some ordinary ones.

Ground truth is on the left, detections are on the right; missed objects and false detections are
red.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.drawing import visualize
from tfod_kit.evaluation import matching
from tfod_kit.evaluation.tables import Tables, to_objects
from tfod_kit.io import files
from tfod_kit.records import pixels
from tfod_kit.runs.results import ImageErrors, Results

if TYPE_CHECKING:
    from PIL import Image

WORST, SAMPLES = "worst", "samples"
_WRONG_COLOUR, _RIGHT_COLOUR, _CROWD_COLOUR = (214, 39, 40), (44, 140, 60), (120, 120, 120)
_MISSED, _FALSE, _CROWD = "missed", "false", "crowd"


def draw(
    results: Results,
    tables: Tables,
    images: Iterable[tuple[str, "Image.Image"]],
    out: Path,
) -> Results:
    """Draws the worst images into `out`/worst/SPLIT-STEP and the samples into `out`/samples.

    Args:
      results: of the tables.
      tables: ground truth and detections.
      images: source ids with their images, in any order; images that are missing are not drawn.
      out: the folder of the results' document.

    Returns:
      The results with the paths of the drawn files.
    """
    name = f"{results.split}-{results.step or 0}"
    rows = {WORST: list(results.worst), SAMPLES: list(results.samples)}
    indices = {
        image.source_id: (folder, index)
        for folder, chosen in rows.items()
        for index, image in enumerate(chosen)
    }
    sides = _sides(tables, results, set(indices))
    with (
        files.atomic_folder(out / WORST / name) as worst,
        files.atomic_folder(out / SAMPLES / name) as samples,
    ):
        folders = {WORST: worst, SAMPLES: samples}
        for source_id, image in images:
            folder, index = indices[source_id]
            row = rows[folder][index]
            stem = re.sub(r"[^\w.-]+", "_", Path(row.file or source_id).stem)
            file = f"{index + 1:02}-{stem}.jpg"
            left, right = sides[source_id]
            both = visualize.side_by_side(_drawn(image, left), _drawn(image, right))
            both.save(folders[folder] / file, quality=92)
            rows[folder][index] = dataclasses.replace(row, drawn=f"{folder}/{name}/{file}")
    return dataclasses.replace(results, worst=tuple(rows[WORST]), samples=tuple(rows[SAMPLES]))


def find_images(folder: Path, wanted: Sequence[ImageErrors]) -> Iterator[tuple[str, "Image.Image"]]:
    """The source id and the pixels of each wanted image that is in a folder.

    Files are searched by name at any depth if they are not at their path.

    Raises:
      DataError: an image is unreadable.
    """
    for image in wanted:
        at_path = folder / image.file
        path = at_path if at_path.is_file() else next(folder.rglob(Path(image.file).name), None)
        if path is not None:
            yield image.source_id, pixels.open_image(path)


def _sides(
    tables: Tables, results: Results, wanted: set[str]
) -> dict[str, tuple[list[ObjectAnnotation], list[ObjectAnnotation]]]:
    """The objects and the detections above the threshold of each wanted image.

    Their labels say whether they are missed, false or in a crowd.
    """
    matches = matching.match(tables).above(results.confusion.threshold)
    found = set(matches.truth_row[matches.match[matches.right]].tolist())
    chosen = {image["id"]: image for image in tables.images if image["source_id"] in wanted}
    sides: dict[str, tuple[list[ObjectAnnotation], list[ObjectAnnotation]]] = {
        image["source_id"]: ([], []) for image in chosen.values()
    }
    for index, row in enumerate(tables.truth):
        if image := chosen.get(row["image_id"]):
            mark = _CROWD if row["iscrowd"] else "" if index in found else _MISSED
            item = to_objects([row], tables.names, image)[0]
            sides[image["source_id"]][0].append(_marked(item, mark))
    for index, number in enumerate(matches.detection_row.tolist()):
        row = tables.detections[number]
        if image := chosen.get(row["image_id"]):
            mark = "" if matches.right[index] else _CROWD if matches.ignored[index] else _FALSE
            item = to_objects([row], tables.names, image)[0]
            sides[image["source_id"]][1].append(_marked(item, mark))
    return sides


def _marked(item: ObjectAnnotation, mark: str) -> ObjectAnnotation:
    return dataclasses.replace(item, label=f"{mark} {item.label}") if mark else item


def _drawn(image: "Image.Image", items: Sequence[ObjectAnnotation]) -> "Image.Image":
    colours = {}
    for item in items:
        mark = item.label.partition(" ")[0]
        wrong = mark in (_MISSED, _FALSE)
        colours[item.label] = (
            _WRONG_COLOUR if wrong else _CROWD_COLOUR if mark == _CROWD else _RIGHT_COLOUR
        )
    return visualize.draw(image, items, colours)

"""Writes a table for each split."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from tfod_kit.core import boxes
from tfod_kit.core.annotations import ImageAnnotation
from tfod_kit.formats.base import Output, Splits
from tfod_kit.formats.common import tables
from tfod_kit.formats.csv.columns import FLAGS
from tfod_kit.io import files


def write(splits: Splits, output: Output) -> list[Path]:
    """Writes SPLIT.csv for each split."""
    written = []
    for split, annotations in splits.items():
        path = output.folder / f"{split}.csv"
        files.write_text(path, _table(annotations))
        written.append(path)
    return written


def _table(annotations: Sequence[ImageAnnotation]) -> str:
    objects = [item for annotation in annotations for item in annotation.objects]
    flags = [
        flag
        for flag in dict.fromkeys(FLAGS.values())
        if any(getattr(item, flag) for item in objects)
    ]
    score_columns = ["score"] if any(item.score is not None for item in objects) else []
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(
        [
            "filename",
            "width",
            "height",
            "class",
            "xmin",
            "ymin",
            "xmax",
            "ymax",
            *flags,
            *score_columns,
        ]
    )
    for annotation in annotations:
        start = [annotation.image.name, annotation.width, annotation.height]
        if not annotation.objects:
            table.writerow([*start, *[""] * (5 + len(flags) + len(score_columns))])
        for item in annotation.objects:
            corners = boxes.to_pixels(item.box, width=annotation.width, height=annotation.height)
            edges = [tables.tidy(edge) for edge in corners]
            flag_values = [int(getattr(item, flag)) for flag in flags]
            scores = ["" if item.score is None else item.score for _ in score_columns]
            table.writerow([*start, item.label, *edges, *flag_values, *scores])
    return stream.getvalue()

"""COCO JSON: one file per split, with images, annotations and categories joined by ids.

Layouts found without being named: annotations/instances_SPLIT.json beside image folders,
SPLIT/_annotations.coco.json among its images, or JSON files anywhere below the folder; and a single
file. Images are looked up by the last part of `file_name`, so that absolute paths and Windows paths
work on any machine.

Class ids are kept, gaps included. Boxes come from the annotations' `bbox`; polygons and run lengths
become masks, keypoints become keypoints.

Written: annotations/instances_SPLIT.json beside images/SPLIT.
"""

from tfod_kit.formats.base import DETAILS, Format
from tfod_kit.formats.coco.reader import advice, discover, read
from tfod_kit.formats.coco.writer import write

FORMAT = Format(
    title="COCO JSON",
    discover=discover,
    read=read,
    expects='JSON files with "images", "annotations" and "categories", such as '
    "annotations/instances_train.json or train/_annotations.coco.json",
    keeps=frozenset(DETAILS),
    write=write,
    advice=advice,
    keeps_searched=True,
)

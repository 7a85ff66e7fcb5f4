"""YOLO: one text file per image, one row per object: the class's number and fractions of the image.

A row of 5 numbers is a box (centre and size), one of 6 a box with a score. Longer rows are an
outline, or, if data.yaml has `kpt_shape` or the row cannot be an outline, a box and its keypoints.
If every row of a data set has four points, these are rotated boxes ("YOLO OBB"): they become the
box around each, and a mask too with `--obb mask`.

Class names come from data.yaml (a list or a mapping), classes.txt, *.names, or the label map given.
An image whose text file is empty or missing has no objects.

Layouts found: images/ and labels/ side by side with splits below or above them, text files beside
the images, and whatever data.yaml's path, train, val and test lead to below the data set's folder.
Paths that lead out of it are not followed.

Written: data.yaml, images/SPLIT and labels/SPLIT; an outline for a mask of one outline, keypoints
if every object that has any has the same number of them.
"""

from tfod_kit.formats.base import Format
from tfod_kit.formats.yolo.layout import discover
from tfod_kit.formats.yolo.reader import read
from tfod_kit.formats.yolo.writer import write

FORMAT = Format(
    title="YOLO",
    discover=discover,
    read=read,
    expects="data.yaml or classes.txt, and images/ beside labels/ with a text file per image",
    keeps=frozenset(("mask", "keypoints", "score")),
    write=write,
)

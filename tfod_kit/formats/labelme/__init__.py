"""LabelMe: one JSON file per image, with shapes whose points are in pixels.

Polygons are outlines; a rectangle is two corners in any order; a circle is its centre and a point
on it; a mask is a PNG within its box. Polygons with the same label and group_id are one object in
several pieces. Points with the group_id of one object are its keypoints, named by their labels;
one with the flag "occluded" is hidden. Other points, lines and line strips enclose no area and are
left out. If the image file is missing, the copy in the JSON file's imageData is read.

Written: SPLIT/NAME.json beside each image. A mask is a polygon, several with one group_id, or the
shape "mask"; a mask that is larger or smaller than the object's box is lost.
"""

from tfod_kit.formats.base import Format
from tfod_kit.formats.labelme.reader import FLAGS, discover, read
from tfod_kit.formats.labelme.writer import write

FORMAT = Format(
    title="LabelMe JSON",
    discover=discover,
    read=read,
    expects='JSON files with "shapes" and "imagePath", one per image',
    keeps=frozenset(("mask", "keypoints", *FLAGS)),
    write=write,
    image_folder="{split}",
)

"""CVAT XML ("CVAT for images" and "CVAT for video" 1.1): one file per task or project.

Read are boxes, also rotated ones, polygons, ellipses, masks in CVAT's run lengths (row by row
within a box), and skeletons as keypoints. In videos, a shape marked `outside` is not visible and is
left out; frames are looked for as images named by their number, as CVAT exports them, or, if the
task has as many frames as there are images, counted in the order of the names. Images of different
subsets may have the same name: the subset then selects the folder. Points, lines and cuboids have
no box and are left out, and so are tags, which label a whole image.

Written: "CVAT for images" 1.1, annotations.xml beside images/SPLIT, with a subset for each split.
An object is a polygon, a mask or a box; a mask that is larger or smaller than the object's box is
lost. Keypoints are a skeleton of the class "CLASS keypoints", grouped with the object's shape.
"""

from tfod_kit.formats.base import Format
from tfod_kit.formats.cvat.reader import FLAGS, discover, read
from tfod_kit.formats.cvat.writer import write

FORMAT = Format(
    title="CVAT XML",
    discover=discover,
    read=read,
    expects="an XML file whose root is <annotations> with <image> or <track> in it",
    keeps=frozenset(("mask", "keypoints", "occluded", *FLAGS.values())),
    write=write,
)

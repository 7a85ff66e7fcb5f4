"""Pascal VOC: one XML file per image; splits in ImageSets/Main or in folders.

Layouts found without being named: Annotations/ + JPEGImages/ (+ ImageSets/), images and XML in one
folder, images/ + annotations/, any of these in one folder per split, and any of these deeper down.

By default pixels count from 0: a corner is a distance from the image's top left edge and the
maximum is exclusive, as in labelImg, Roboflow and upstream's own converter. The original VOC counts
pixels from 1 and includes the maximum; origin 1 reads it exactly: (xmin - 1, xmax).

Written: Annotations, JPEGImages, ImageSets/Main and, for masks of more than one outline,
SegmentationObject. Pixels count from 0.
"""

from tfod_kit.formats.base import Format
from tfod_kit.formats.voc.layout import discover
from tfod_kit.formats.voc.reader import read
from tfod_kit.formats.voc.writer import FLAGS, IMAGES, write

FORMAT = Format(
    title="Pascal VOC XML",
    discover=discover,
    read=read,
    expects="XML files whose root is <annotation>, such as Annotations/*.xml beside JPEGImages/",
    keeps=frozenset(("mask", "view", *FLAGS)),
    write=write,
    image_folder=IMAGES,
)

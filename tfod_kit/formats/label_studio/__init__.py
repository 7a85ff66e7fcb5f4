"""Label Studio JSON: a list of tasks, each with an image and its annotations.

Both exports are read, JSON and JSON_MIN. Coordinates are percent of the image. A rotated box turns
clockwise about its top left corner, in pixels, so that it stays a rectangle whatever the image's
aspect ratio. Rectangles, polygons and ellipses are objects; a label may be in the shape or in
another result with the shape's id. Brush strokes are masks. Points whose parent is a shape are its
keypoints; other points and choices have no box and are left out.

If several people annotated an image, the annotation marked as ground truth is read, else the last
one. Predictions of a model are not read. Tasks without an annotation are left out.

Written: a list of tasks for each split, SPLIT.json, and label_config.xml, the labelling interface
that they are for. Their images are addressed as local files below the folder that
LOCAL_FILES_DOCUMENT_ROOT names. An object is a polygon or a rectangle; masks of several outlines,
or larger or smaller than the object's box, are lost. Keypoints are points whose parent is the
object; a hidden one has the text "hidden" as its meta information. With `--scores`, objects with a
score are predictions, which Label Studio shows beside the annotations and does not count as such.
"""

from tfod_kit.formats.base import Format
from tfod_kit.formats.label_studio.reader import discover, read
from tfod_kit.formats.label_studio.writer import write

FORMAT = Format(
    title="Label Studio JSON",
    discover=discover,
    read=read,
    expects='a JSON list of tasks with "data" and "annotations", or its short form JSON_MIN',
    keeps=frozenset(("mask", "keypoints", "score")),
    write=write,
)

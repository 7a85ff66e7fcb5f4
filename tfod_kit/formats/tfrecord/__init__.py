"""TFRecords of object detection as input: to split again, to select classes, to convert back.

Files are recognised by their names: .tfrecord, .record and the like, optionally followed by
-00000-of-00010, and by .gz if they are gzipped as a whole. Images stay in the record files until
they are needed. A record without `image/source_id` gets its file name as source id, so that
evaluation can distinguish images. Classes come from the records' class names, or by id from the
label map beside the records. Records of TensorFlow Datasets have other keys; see `tfds`.
"""

from tfod_kit.formats.base import DETAILS, Format
from tfod_kit.formats.tfrecord.reader import discover, read

FORMAT = Format(
    title="TFRecords",
    discover=discover,
    read=read,
    expects="record files such as train-00000-of-00001.tfrecord",
    keeps=frozenset(DETAILS) - {"score"},
)

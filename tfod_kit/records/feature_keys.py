"""The only list of the feature keys of a record.

They are the keys that upstream's TfExampleDecoder reads, unless a comment states otherwise.
"""

ENCODED = "image/encoded"
FORMAT = "image/format"
FILENAME = "image/filename"
SOURCE_ID = "image/source_id"
SHA256 = "image/key/sha256"
HEIGHT = "image/height"
WIDTH = "image/width"
YMIN = "image/object/bbox/ymin"
XMIN = "image/object/bbox/xmin"
YMAX = "image/object/bbox/ymax"
XMAX = "image/object/bbox/xmax"
CLASS_TEXT = "image/object/class/text"
CLASS_LABEL = "image/object/class/label"
IS_CROWD = "image/object/is_crowd"
DIFFICULT = "image/object/difficult"
TRUNCATED = "image/object/truncated"
OCCLUDED = "image/object/occluded"  # tfod_kit's own: upstream has no key for it and ignores it
GROUP_OF = "image/object/group_of"
AREA = "image/object/area"
VIEW = "image/object/view"  # written by upstream's converters, and read by nothing of upstream's
WEIGHT = "image/object/weight"
MASK = "image/object/mask"
MASK_WEIGHT = "image/object/mask/weight"
KEYPOINT_Y = "image/object/keypoint/y"
KEYPOINT_X = "image/object/keypoint/x"
KEYPOINT_VISIBILITY = "image/object/keypoint/visibility"
KEYPOINT_TEXT = "image/object/keypoint/text"
# Class ids of LVIS: classes that are absent, and those of which not every object is annotated.
ABSENT_CLASSES = "image/neg_category_ids"
PARTLY_ANNOTATED_CLASSES = "image/not_exhaustive_category_ids"
TFDS_IMAGE = "image"  # where TensorFlow Datasets puts what is under ENCODED here

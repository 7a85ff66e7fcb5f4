"""The augmentations of the API's configs that upstream's published package cannot run."""

from collections.abc import Mapping

# Name -> why.
UNAVAILABLE: Mapping[str, str] = {
    # object_detection/utils/autoaugment_utils.py
    "autoaugment_image": "it needs tensorflow.contrib, which TensorFlow 2 does not have",
}

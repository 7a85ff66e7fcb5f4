"""Imported once by the server that each test file's process is forked from: saves 4 s a file."""

from tfod_kit import compat

compat.activate()

import object_detection.utils.test_case  # noqa: E402, F401
import tensorflow  # noqa: E402, F401
import tf_keras  # noqa: E402, F401

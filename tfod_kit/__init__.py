"""tfod_kit: the TensorFlow Object Detection API, on a current Python and TensorFlow.

Importing this package has no effects: no patches, no flags, no logging set-up, no TensorFlow.
"""

__version__ = "0.2.0"

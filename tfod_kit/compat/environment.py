"""What must stand in the environment before TensorFlow is imported."""

import os
import sys
import warnings

from tfod_kit.errors import SetupError

LEGACY_KERAS = "TF_USE_LEGACY_KERAS"
# TensorFlow says at every import that oneDNN is on, that no CUDA driver is there and which CPU
# instructions it uses; those are INFO. Warnings and errors stay.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "1"}
_UPSTREAM = r".*(object_detection|tf_slim|tensorflow|tf_keras|official|tensorflow_io)\b"
_NOISE = (SyntaxWarning, DeprecationWarning, PendingDeprecationWarning, FutureWarning)


def use_keras_2() -> None:
    """Makes `tf.keras` mean tf-keras (Keras 2), which upstream's models are written in.

    Raises:
      SetupError: TensorFlow is imported already, with Keras 3; it cannot be changed any more.
    """
    if "tensorflow" in sys.modules and "tf_keras" not in sys.modules:
        raise SetupError(
            "TensorFlow was imported with Keras 3; upstream's models need Keras 2 (tf-keras).",
            expected=f"{LEGACY_KERAS}=1 in the environment before TensorFlow is imported",
            found=f"{LEGACY_KERAS}={os.environ.get(LEGACY_KERAS, 'not set')}",
            fix="Call tfod_kit.compat.activate() before the first `import tensorflow`, "
            f"or set {LEGACY_KERAS}=1.",
        )
    os.environ[LEGACY_KERAS] = "1"


def quiet() -> None:
    """Silences TensorFlow's notes at import and upstream's Python deprecations.

    What the user set (TF_CPP_MIN_LOG_LEVEL, PYTHONWARNINGS, `python -W`) stays as it is.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if not sys.warnoptions:
        for category in _NOISE:
            warnings.filterwarnings("ignore", category=category, module=_UPSTREAM)

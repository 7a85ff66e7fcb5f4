"""What must stand in the environment before TensorFlow is imported."""

import os
import sys
import warnings
from pathlib import Path

from tfod_kit.errors import SetupError

LEGACY_KERAS = "TF_USE_LEGACY_KERAS"
_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# Where Linux and WSL show an NVIDIA GPU.
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg")
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


def has_nvidia_gpu() -> bool:
    """Whether the system shows an NVIDIA GPU; whether TensorFlow can use it is another matter."""
    return any(Path(device).exists() for device in _GPU_DEVICES)


def quiet() -> None:
    """Silences TensorFlow's notes at import and upstream's Python deprecations.

    The notes (oneDNN is on, which CPU instructions there are) are INFO. Without a GPU its native
    code logs as an ERROR that it found none, so there that level is silenced too; what fails is
    raised as an exception in any case. With a GPU, warnings stay: they name missing libraries.

    What the user set (TF_CPP_MIN_LOG_LEVEL, PYTHONWARNINGS, `python -W`) stays as it is.
    """
    os.environ.setdefault(_LOG_LEVEL, "1" if has_nvidia_gpu() else "3")
    if not sys.warnoptions:
        for category in _NOISE:
            warnings.filterwarnings("ignore", category=category, module=_UPSTREAM)
        # Upstream's train step calls it each time; tf-keras still honours it.
        warnings.filterwarnings("ignore", message=".*set_learning_phase. is deprecated")

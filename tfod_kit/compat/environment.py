"""The environment variables and warning filters to set before TensorFlow is imported."""

import os
import sys
import warnings
from pathlib import Path

from tfod_kit.errors import SetupError

LEGACY_KERAS = "TF_USE_LEGACY_KERAS"
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# The device files of NVIDIA GPUs on Linux and WSL.
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg")
_UPSTREAM = r".*(object_detection|tf_slim|tensorflow|tf_keras|official|tensorflow_io)\b"
_NOISE = (SyntaxWarning, DeprecationWarning, PendingDeprecationWarning, FutureWarning)


def use_keras_2() -> None:
    """Makes `tf.keras` refer to tf-keras (Keras 2), for which upstream's models are written.

    Raises:
      SetupError: TensorFlow is imported already, with Keras 3, which can no longer be changed.
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


def use_onednn() -> None:
    """Enables TensorFlow's oneDNN kernels, unless the user has set TF_ENABLE_ONEDNN_OPTS.

    TensorFlow enables them by itself only on some x86 CPUs (those with AVX512_VNNI, AVX512_BF16 or
    AMX). On others, batch normalisation and the gradients of depthwise convolutions are several
    times slower without them. Builds without oneDNN ignore the variable.
    """
    os.environ.setdefault(ONEDNN, "1")


def has_nvidia_gpu() -> bool:
    """Whether the system has an NVIDIA GPU; TensorFlow may still be unable to use it."""
    return any(Path(device).exists() for device in _GPU_DEVICES)


def quiet() -> None:
    """Silences TensorFlow's messages at import and upstream's Python deprecation warnings.

    Those messages (oneDNN is enabled, available CPU instructions) have the level INFO. Without a
    GPU, TensorFlow's native code logs its absence as an ERROR, so that level is silenced as well;
    real failures raise exceptions. With a GPU, warnings stay: they name missing libraries.

    Settings of the user (TF_CPP_MIN_LOG_LEVEL, PYTHONWARNINGS, `python -W`) take precedence.
    TensorFlow 2.21 writes some notes before it reads that variable; `quiet_import` drops them.
    """
    os.environ.setdefault(LOG_LEVEL, "1" if has_nvidia_gpu() else "3")
    if not sys.warnoptions:
        for category in _NOISE:
            warnings.filterwarnings("ignore", category=category, module=_UPSTREAM)
        # Upstream's train step calls it at every step, and tf-keras still supports it.
        warnings.filterwarnings("ignore", message=".*set_learning_phase. is deprecated")

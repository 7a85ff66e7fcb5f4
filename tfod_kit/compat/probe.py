"""`python -m tfod_kit.compat.probe`: tries TensorFlow and every patch, and prints JSON.

It runs in a separate process because TensorFlow may crash it: on a CPU without the instructions
that TensorFlow was built for, there is no exception to catch.
"""

import importlib
import json
import sys
import time
from typing import Any

from tfod_kit import compat
from tfod_kit.compat import launch

# The modules that training, evaluation and export import, besides the patched ones.
_ENGINE = (
    "model_lib_v2",
    "exporter_lib_v2",
    "export_tflite_graph_lib_tf2",
    "builders.model_builder",
)


def probe() -> dict[str, Any]:
    """Versions, devices, the state of each patch, and the failed imports under "errors"."""
    started = time.monotonic()
    compat.activate()
    import tensorflow as tf

    seconds = time.monotonic() - started
    report: dict[str, Any] = {
        "tensorflow": tf.__version__,
        "import_s": round(seconds, 1),
        "keras": tf.keras.layers.Layer.__module__.partition(".")[0],
        "devices": [_described(tf, device) for device in tf.config.list_physical_devices()],
        "gpus": len(tf.config.list_physical_devices("GPU")),
        "built_for_cuda": tf.sysconfig.get_build_info().get("cuda_version"),
        "errors": [],
    }
    modules = [f"{launch.PACKAGE}.{part}" for part in _ENGINE]
    modules += [module for patch in compat.PATCHES for module in patch.modules]
    for name in dict.fromkeys(modules):
        try:
            importlib.import_module(name)
        except Exception as error:
            report["errors"].append(f"import {name}: {type(error).__name__}: {error}")
    report["patches"] = [
        [state.patch.name, state.status, state.detail] for state in compat.report()
    ]
    return report


def _described(tf: Any, device: Any) -> str:
    name = tf.config.experimental.get_device_details(device).get("device_name", "")
    return f"{device.device_type} {name}".strip()


if __name__ == "__main__":
    json.dump(probe(), sys.stdout)

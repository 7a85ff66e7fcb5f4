"""`python -m tfod_kit.exports.tfjs_convert SAVED_MODEL OUT`: the converter, in its own process.

tensorflowjs imports JAX and TensorFlow Decision Forests whatever is converted, and through them
asks for packages that contradict this stack's. A SavedModel of TensorFlow needs neither, so empty
modules stand in for them.
"""

import sys
from types import ModuleType

UNUSED = ("tensorflow_decision_forests", "jax", "jax.experimental", "jax.experimental.jax2tf")
SIGNATURE = "serving_default"


def convert(saved: str, out: str) -> None:
    """Writes the SavedModel's serving_default as a TensorFlow.js graph model."""
    for name in UNUSED:
        sys.modules[name] = ModuleType(name)
    sys.modules["jax.experimental"].jax2tf = (  # type: ignore[attr-defined]
        sys.modules["jax.experimental.jax2tf"]
    )
    from tensorflowjs.converters import tf_saved_model_conversion_v2 as converter

    # Assert is a debug operation, and TensorFlow.js has none.
    converter.convert_tf_saved_model(
        saved, out, signature_def=SIGNATURE, saved_model_tags="serve", strip_debug_ops=True
    )


if __name__ == "__main__":
    convert(*sys.argv[1:])

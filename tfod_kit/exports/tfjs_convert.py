"""Runs the TensorFlow.js converter: `python -m tfod_kit.exports.tfjs_convert SAVED_MODEL OUT`.

tensorflowjs always imports JAX and TensorFlow Decision Forests, whose requirements contradict this
stack. Converting a SavedModel uses neither, so empty modules replace them.
"""

import sys
from types import ModuleType

UNUSED = ("tensorflow_decision_forests", "jax", "jax.experimental", "jax.experimental.jax2tf")
SIGNATURE = "serving_default"


def convert(saved: str, out: str) -> None:
    """Writes the signature serving_default of a SavedModel as a TensorFlow.js graph model."""
    for name in UNUSED:
        sys.modules[name] = ModuleType(name)
    sys.modules["jax.experimental"].jax2tf = (  # type: ignore[attr-defined]
        sys.modules["jax.experimental.jax2tf"]
    )
    from tensorflowjs.converters import tf_saved_model_conversion_v2 as converter

    # Removes Assert, a debug operation that TensorFlow.js does not have.
    converter.convert_tf_saved_model(
        saved, out, signature_def=SIGNATURE, saved_model_tags="serve", strip_debug_ops=True
    )


if __name__ == "__main__":
    convert(*sys.argv[1:])

"""Substitutes for removed modules and names, visible only to the upstream modules that use them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple


def extended(module: ModuleType, **extra: object) -> ModuleType:
    """A copy of a module with additional names, for one importer to use in place of the original.

    It has the original's name, so that pickle and TensorFlow's AutoGraph treat it alike.
    """
    copy = ModuleType(module.__name__, module.__doc__)
    vars(copy).update(vars(module))
    vars(copy).update(extra)
    return copy


def module_of(name: str, **members: object) -> ModuleType:
    """A new module with these members and nothing else."""
    module = ModuleType(name, "A stand-in by tfod_kit.compat.")
    vars(module).update(members)
    return module


@contextmanager
def importable(*modules: ModuleType) -> Iterator[None]:
    """Makes `import` find these modules within the block, and restores the originals after it."""
    before = {module.__name__: sys.modules.get(module.__name__) for module in modules}
    sys.modules.update({module.__name__: module for module in modules})
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


class ServingInputReceiver(NamedTuple):
    """The features and the placeholders of a serving function."""

    features: Any
    receiver_tensors: Any
    receiver_tensors_alternatives: Any = None


class ModeKeys:
    """The names of the three modes of an estimator."""

    TRAIN = "train"
    EVAL = "eval"
    PREDICT = "infer"


def estimator() -> ModuleType:
    """The part of `tensorflow.compat.v1.estimator` that TF2 code uses: names, but no Estimator."""
    name = "tensorflow.compat.v1.estimator"
    export = module_of(f"{name}.export", ServingInputReceiver=ServingInputReceiver)
    return module_of(name, ModeKeys=ModeKeys, export=export)


def tensorflow_io() -> ModuleType:
    """The part of `tensorflow_io` that DeepMAC uses: `experimental.color.rgb_to_lab`."""
    color = module_of("tensorflow_io.experimental.color", rgb_to_lab=rgb_to_lab)
    experimental = module_of("tensorflow_io.experimental", color=color)
    return module_of("tensorflow_io", experimental=experimental)


# IEC 61966-2-1 (sRGB primaries, D65) to CIE XYZ, and the D65 white point of the 2° observer.
_RGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)


def rgb_to_lab(image: Any, name: str | None = None) -> Any:
    """Converts sRGB in [0, 1] to CIE L*a*b* under D65; float tensors of shape [..., 3]."""
    import tensorflow as tf

    with tf.name_scope(name or "rgb_to_lab"):
        image = tf.convert_to_tensor(image)
        linear = tf.where(image > 0.04045, ((image + 0.055) / 1.055) ** 2.4, image / 12.92)
        xyz = tf.linalg.matvec(tf.constant(_RGB_TO_XYZ, image.dtype), linear)
        ratio = xyz / tf.constant(_WHITE, image.dtype)
        # CIE's two branches meet at (6/29)³; near 0 the linear one avoids the steep cube root.
        root = tf.where(
            ratio > 0.008856, tf.maximum(ratio, 0.0) ** (1.0 / 3.0), 7.787 * ratio + 16.0 / 116.0
        )
        x, y, z = tf.unstack(root, axis=-1)
        return tf.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)

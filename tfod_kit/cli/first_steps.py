"""What `tfod` alone and `tfod --version` print."""

import platform
from importlib import metadata

from tfod_kit import __version__
from tfod_kit.compat import engine_packages

# Distribution -> its name in `tfod --version`.
_VERSIONS = {
    "tensorflow": "TensorFlow",
    "tf-keras": "tf-keras",
    "tf-models-research-object-detection": "Object Detection API",
}
# TensorFlow's build without CUDA is a distribution of its own.
_ALTERNATIVES = {"tensorflow": "tensorflow-cpu"}

_STEPS = """\
From annotated images to a detector, in five steps:

  tfod convert PHOTOS                                   images and annotations, in any format
  tfod configure fpnlite --pretrained --out work/run    a model and its weights, for these records
  tfod train work/run --minutes 5                       checks everything first; Ctrl-C saves
  tfod evaluate work/run                                how good it is, and what it confuses
  tfod export work/run --target tflite                  also onnx, openvino, tfjs, serving

No images at hand?  `tfod demo --out photos` draws some.
All commands:       `tfod --help`; options of one: `tfod train --help`
"""
_NO_ENGINE = f"""\
Training is not installed yet: type `{engine_packages.INSTALL}` once.
"""


def text() -> str:
    """The way to a first detector, and what is missing for it here."""
    return f"{_STEPS}\n{_NO_ENGINE}" if engine_packages.missing() else _STEPS


def versions() -> str:
    """One line for a report of a problem: the kit, Python, the system and the engine."""
    named = [f"Python {platform.python_version()}"]
    for distribution, name in _VERSIONS.items():
        version = _version(distribution) or _version(_ALTERNATIVES.get(distribution, ""))
        named.append(f"{name} {version}" if version else f"no {name}")
    named.append(f"{platform.system()} {platform.machine()}")
    return f"tfod_kit {__version__} ({', '.join(named)})"


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution) if distribution else None
    except metadata.PackageNotFoundError:
        return None

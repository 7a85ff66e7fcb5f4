"""Whether the engine is installed: TensorFlow, the Object Detection API, and what they import.

`pip install tfod_kit` brings only what prepares data; `tfod setup` adds the engine.
"""

from importlib.util import find_spec

from tfod_kit.errors import SetupError

INSTALL = "tfod setup"

# A module of each package without which no model can be built or run.
_MODULES = {
    "tensorflow": "tensorflow",
    "tf_keras": "tf-keras",
    "object_detection": "tf-models-research-object-detection",
    "official": "tf-models-official",
    "tf_slim": "tf-slim",
}
_LITERT = {"ai_edge_litert": "ai-edge-litert", "flatbuffers": "flatbuffers"}


def missing() -> tuple[str, ...]:
    """The packages of the engine that are not installed; imports none of them."""
    return _missing(_MODULES)


def require() -> None:
    """Raises a SetupError that states what to type if the engine is not installed."""
    _require("TensorFlow and the Object Detection API", missing())


def require_litert() -> None:
    """Raises a SetupError if TensorFlow Lite's runtime is not installed."""
    _require("TensorFlow Lite's runtime", _missing(_LITERT))


def _missing(modules: dict[str, str]) -> tuple[str, ...]:
    return tuple(package for module, package in modules.items() if not _exists(module))


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # imported, but by a loader that left no specification
        return True


def _require(what: str, packages: tuple[str, ...]) -> None:
    if packages:
        raise SetupError(
            f"This needs {what}.",
            found=f"not installed: {', '.join(packages)}",
            fix=f"Type `{INSTALL}`, which installs all of it here.",
        )

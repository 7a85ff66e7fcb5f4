"""The folders of the base configs and label maps that are part of tfod_kit.

They are at the top of a checkout, and inside the package when installed from a wheel.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def pipelines() -> Path:
    """The folder of base `NAME.config` files."""
    return _folder("pipelines")


def label_maps() -> Path:
    """The folder of standard `NAME.pbtxt` label maps."""
    return _folder("label_maps")


def _folder(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name

"""Where the base configs and the label maps that ship with tfod_kit lie.

They stand at the top of a checkout, and inside the package once installed from a wheel.
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

"""The models that a path stands for: a run folder stands for its checkpoint and its exports."""

from collections.abc import Iterable
from pathlib import Path

from tfod_kit import detectors, pipeline_config
from tfod_kit.errors import UsageError
from tfod_kit.exports import INFO
from tfod_kit.io.progress import announce

_DEPTHS = ("*", "*/*")  # RUN/export-tflite, and RUN/exports/tflite of several targets


def models(paths: Iterable[Path]) -> list[Path]:
    """The models to measure, each once, in the order given; a run is followed by its exports.

    An export that no runtime of this package can run, such as one for the browser, is announced
    and left out, unless it is named itself.
    """
    chosen: dict[Path, Path] = {}
    for path in paths:
        chosen.setdefault(path.resolve(), path)
        if not (path / pipeline_config.FILE_NAME).is_file() or (path / INFO).is_file():
            continue
        for export in _exports(path):
            try:
                detectors.runtime_of(export)
            except UsageError:
                announce(f"Not measured: {export}, for which there is no runtime here")
                continue
            chosen.setdefault(export.resolve(), export)
    return list(chosen.values())


def _exports(run: Path) -> list[Path]:
    return sorted({info.parent for depth in _DEPTHS for info in run.glob(f"{depth}/{INFO}")})

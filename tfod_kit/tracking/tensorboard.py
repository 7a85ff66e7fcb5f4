"""TensorBoard: curves and images as files in RUN/train."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.tracking.tracker import TrackedRun, TrackerKind

if TYPE_CHECKING:
    from PIL import Image

FOLDER = "train"


class TensorBoard:
    """Writes the event files of one training."""

    reference = ""

    def __init__(self, run: TrackedRun, where: str) -> None:
        from tfod_kit.engine import summaries

        self._stack = ExitStack()
        self._writer = self._stack.enter_context(summaries.writer(run.folder / FOLDER))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        from tfod_kit.engine import summaries

        summaries.scalars(self._writer, step, values)

    def image(self, step: int, name: str, image: "Image.Image") -> None:
        from tfod_kit.engine import summaries

        summaries.images(self._writer, step, name, [image])

    def file(self, path: Path, folder: str) -> None:
        """TensorBoard shows no files; they are in the run folder."""

    def model(self, folder: Path) -> None:
        """TensorBoard shows no models."""

    def close(self, *, failed: bool) -> None:
        self._stack.close()


TRACKER = TrackerKind(TensorBoard, "curves as files in RUN/train", local=True)

"""The models of `--log mlflow`: what `mlflow.pyfunc.load_model` imports to load one.

model = mlflow.pyfunc.load_model("runs:/RUN_ID/model")
for objects in model.predict([image]):  # uint8 [height, width, 3], RGB
    ...
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfod_kit.core.annotations import ObjectAnnotation
    from tfod_kit.detectors import Detector


class Model:
    """A detector with the interface that MLflow expects."""

    def __init__(self, detector: "Detector") -> None:
        self._detector = detector

    def predict(
        self, images: Sequence[Any], params: dict[str, Any] | None = None
    ) -> "list[tuple[ObjectAnnotation, ...]]":
        """The objects in each image, as `Detector.detect` returns them.

        Args:
          images: uint8 arrays [height, width, 3], RGB.
          params: {"min_score": ...} leaves out detections with a lower score.
        """
        return self._detector.detect(images, min_score=(params or {}).get("min_score", 0.0))


def _load_pyfunc(path: str) -> Model:
    from tfod_kit import detectors

    return Model(detectors.load(Path(path)))

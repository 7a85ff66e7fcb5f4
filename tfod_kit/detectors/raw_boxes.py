"""Detections from raw boxes and scores: the reference of the decoder in C.

`tfod export --target tflite_micro` writes models without postprocessing, and what decodes their
outputs into decoder.json. tfod_kit/exports/micro/tfod_decode.c does the same on a microcontroller.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.errors import CheckpointError
from tfod_kit.io import files, json_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

FILE = "decoder.json"


@dataclass(frozen=True, slots=True)
class Decoder:
    """What turns the outputs of an SSD into detections.

    Attributes:
      anchors: (y, x, height, width) of the centre and size of each, as parts of the input.
      scales: what the codes of y, x, height and width are divided by.
      min_score: scores up to it are left out.
      iou_threshold: boxes that overlap one of higher score and their class by more are left out.
      max_detections, max_per_class: the most that are kept.
    """

    anchors: tuple[tuple[float, float, float, float], ...]
    scales: tuple[float, float, float, float]
    min_score: float
    iou_threshold: float
    max_detections: int
    max_per_class: int

    def decode(
        self, codes: "Floats", scores: "Floats"
    ) -> "tuple[Floats, NDArray[np.int64], Floats]":
        """Decodes the outputs of one image.

        Args:
          codes: [N, 4] codes of the boxes, relative to the anchors.
          scores: [N, C] from 0 to 1, without a background class.

        Returns:
          [D, 4] ymin, xmin, ymax, xmax in [0, 1], [D] class indices from 0, and [D] scores, the
          highest first; equal ones in the order of the anchors, then of the classes.
        """
        return self.select(self._boxes(codes), scores)

    def select(
        self, boxes: "Floats", scores: "Floats"
    ) -> "tuple[Floats, NDArray[np.int64], Floats]":
        """The detections among decoded boxes.

        Args:
          boxes: [N, 4] ymin, xmin, ymax, xmax, not clipped.
          scores: as for `decode`, which states what is returned.
        """
        import numpy as np

        flat = scores.astype(np.float32).reshape(-1)
        kept: list[int] = []
        for index in np.argsort(-flat, kind="stable").tolist():
            if len(kept) == self.max_detections or not flat[index] > np.float32(self.min_score):
                break
            if not self._is_suppressed(index, kept, boxes, scores.shape[1]):
                kept.append(index)
        chosen = np.array(kept, np.int64)
        return (
            np.clip(boxes[chosen // scores.shape[1]], 0, 1).astype(np.float32),
            chosen % scores.shape[1],
            flat[chosen],
        )

    def _boxes(self, codes: "Floats") -> "Floats":
        """[N, 4] edges, not clipped."""
        import numpy as np

        anchors = np.array(self.anchors, np.float32)
        relative = codes.astype(np.float32) / np.array(self.scales, np.float32)
        centres = relative[:, :2] * anchors[:, 2:] + anchors[:, :2]
        halves = np.float32(0.5) * np.exp(relative[:, 2:]) * anchors[:, 2:]
        edges: Floats = np.concatenate([centres - halves, centres + halves], axis=1)
        return edges

    def _is_suppressed(self, index: int, kept: list[int], boxes: "Floats", classes: int) -> bool:
        import numpy as np

        same = [other // classes for other in kept if other % classes == index % classes]
        if len(same) >= self.max_per_class:
            return True
        if not same:
            return False
        box, others = boxes[index // classes], boxes[same]
        sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
        common = np.maximum(sides, 0).prod(axis=1)
        areas = (others[:, 2:] - others[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
        rest = areas - common
        ious = np.divide(common, rest, out=np.zeros_like(common), where=rest > 0)
        return bool((ious > np.float32(self.iou_threshold)).any())


def write(decoder: Decoder, folder: Path) -> None:
    """Writes decoder.json."""
    files.write_text(folder / FILE, json.dumps(asdict(decoder)) + "\n")


def read(folder: Path) -> Decoder | None:
    """The decoder of a folder; None if it has none.

    Raises:
      CheckpointError: decoder.json is invalid.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return json_files.read(path, Decoder)
    except ValueError as error:
        raise CheckpointError(
            "What decodes the model's outputs cannot be read.",
            where=path,
            found=str(error),
            fix="Export it again: `tfod export RUN --target tflite_micro`.",
        ) from error

"""Tracks objects through a video with ByteTrack, from the `trackers` package.

Zhang et al.: "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022.
Detections with low scores count too if they continue the track of a confident one.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.boxes import to_pixels
from tfod_kit.errors import SetupError
from tfod_kit.prediction.filters import Filters

_LOW = 0.5  # fraction of the required score that is enough to continue a track


class Tracker:
    """Numbers the objects of one video, from 1; each class is tracked separately.

    Attributes:
      filters: those to detect with, which also keep lower scores.
    """

    def __init__(self, filters: Filters, rate: float) -> None:
        """Starts a video.

        Args:
          filters: which objects to show.
          rate: frames per second that are detected in.

        Raises:
          SetupError: the package is not installed.
        """
        self._filters = filters
        self._rate = rate
        self._tracker_class = _tracker_class()
        self._by_class: dict[str, Any] = {}
        self._numbers: dict[tuple[str, int], int] = {}
        self.filters = replace(
            filters,
            min_score=filters.min_score * _LOW,
            thresholds={name: score * _LOW for name, score in filters.thresholds.items()},
        )

    def update(
        self, objects: Sequence[ObjectAnnotation], width: int, height: int
    ) -> tuple[tuple[ObjectAnnotation, ...], tuple[int | None, ...]]:
        """The objects to show in the next frame, and the track number of each.

        Args:
          objects: the detections that `filters` keeps.
          width, height: px of the frame.

        Returns:
          Those that score enough or continue a track; the number is None for one without a track.
        """
        numbers: dict[int, int] = {}
        labels = {item.label for item in objects} | self._by_class.keys()
        for label in sorted(labels):
            indices = [index for index, item in enumerate(objects) if item.label == label]
            numbers |= self._of_class(label, indices, objects, width, height)
        kept = [
            (item, numbers.get(index))
            for index, item in enumerate(objects)
            if index in numbers or (item.score or 0.0) >= self._filters.threshold(item.label)
        ]
        return tuple(item for item, _ in kept), tuple(number for _, number in kept)

    def _of_class(
        self,
        label: str,
        indices: Sequence[int],
        objects: Sequence[ObjectAnnotation],
        width: int,
        height: int,
    ) -> dict[int, int]:
        """The track number of each object of a class, by its index."""
        import numpy as np
        import supervision

        if label not in self._by_class:
            threshold = self._filters.threshold(label)
            self._by_class[label] = self._tracker_class(
                frame_rate=self._rate,
                track_activation_threshold=threshold,
                high_conf_det_threshold=threshold,
            )
        rows = [to_pixels(objects[index].box, width=width, height=height) for index in indices]
        detections = supervision.Detections(
            xyxy=np.array(rows, np.float32).reshape(-1, 4),
            confidence=np.array([objects[index].score for index in indices], np.float32),
            class_id=np.array(indices, int),  # returned beside the tracker's own number
        )
        tracked = self._by_class[label].update(detections)
        if tracked.class_id is None:
            return {}
        rows_tracked = zip(tracked.class_id.tolist(), tracked.tracker_id.tolist(), strict=True)
        return {
            index: self._numbers.setdefault((label, track), len(self._numbers) + 1)
            for index, track in rows_tracked
            if track >= 0
        }


def _tracker_class() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from trackers import ByteTrackTracker
    except ImportError as error:
        raise SetupError(
            "Tracking objects needs the trackers package.",
            where="--track",
            found=str(error),
            fix='Install it: pip install "tfod_kit[video]"',
        ) from error
    return ByteTrackTracker

"""Tracks objects through a video with ByteTrack, from the `trackers` package.

Zhang et al.: "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022.
Detections with low scores count too if they continue the track of a confident one.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.boxes import iou, to_pixels
from tfod_kit.errors import SetupError
from tfod_kit.prediction.filters import Filters

_LOW = 0.5  # fraction of the required score that is enough to continue a track


@dataclass(frozen=True, slots=True)
class Tracked:
    """The objects to show in a frame.

    Attributes:
      objects: those that score enough or continue a track.
      tracks: the track number of each; None for one without a track.
    """

    objects: tuple[ObjectAnnotation, ...]
    tracks: tuple[int | None, ...]


class Tracker:
    """Numbers the objects of one video, from 1; each class is tracked separately.

    ByteTrack confirms a track in the second frame of an object. `backdated` numbers the first one.

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
        self._known = 0  # numbers that were given before the last frame
        self.filters = replace(
            filters,
            min_score=filters.min_score * _LOW,
            thresholds={name: score * _LOW for name, score in filters.thresholds.items()},
        )

    def update(self, objects: Sequence[ObjectAnnotation], width: int, height: int) -> Tracked:
        """The objects to show in the next frame.

        Args:
          objects: the detections that `filters` keeps.
          width, height: px of the frame.
        """
        self._known = len(self._numbers)
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
        return Tracked(tuple(item for item, _ in kept), tuple(number for _, number in kept))

    def backdated(self, before: Tracked, last: Tracked) -> Tracked:
        """The frame before the last one, with the numbers of the tracks that begin in it.

        The pairs with the largest IoU come first, as in ByteTrack, which expects an object that it
        has seen once at the same location again.

        Args:
          before, last: the results of the last two calls of `update`.
        """
        begun = [
            (item, number)
            for item, number in zip(last.objects, last.tracks, strict=True)
            if number is not None and number > self._known
        ]
        pairs = [
            (-iou(item.box, other.box), index, number)
            for index, item in enumerate(before.objects)
            for other, number in begun
            if item.label == other.label
        ]
        tracks = list(before.tracks)
        for shared, index, number in sorted(pairs):
            if shared < 0 and tracks[index] is None and number not in tracks:
                tracks[index] = number
        return Tracked(before.objects, tuple(tracks))

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

"""Follows objects through a video: ByteTrack, as the `trackers` package has it.

Zhang et al.: "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022: also
detections with low scores are taken, where they go on with an object that was sure before.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.boxes import to_pixels
from tfod_kit.errors import SetupError
from tfod_kit.prediction.filters import Wanted

_LOW = 0.5  # of the score that is asked for: enough to go on with an object


class Tracker:
    """Gives the objects of one video numbers, from 1 on; those of each class among themselves.

    Attributes:
      wanted: what to ask the detector for: lower scores, too.
    """

    def __init__(self, wanted: Wanted, rate: float) -> None:
        """Begins a video.

        Args:
          wanted: what the user wants to see.
          rate: frames per second that are looked at.

        Raises:
          SetupError: the package is absent.
        """
        self._wanted = wanted
        self._rate = rate
        self._make = _tracker_class()
        self._by_class: dict[str, Any] = {}
        self._numbers: dict[tuple[str, int], int] = {}
        self.wanted = replace(
            wanted,
            min_score=wanted.min_score * _LOW,
            thresholds={name: score * _LOW for name, score in wanted.thresholds.items()},
        )

    def follow(
        self, objects: Sequence[ObjectAnnotation], width: int, height: int
    ) -> tuple[tuple[ObjectAnnotation, ...], tuple[int | None, ...]]:
        """The objects to be shown in the next frame, and the number of each.

        Args:
          objects: what was found by `wanted`.
          width, height: px of the frame.

        Returns:
          those that score enough or go on with one before; None for one that is not followed yet.
        """
        numbers: dict[int, int] = {}
        labels = {item.label for item in objects} | self._by_class.keys()
        for label in sorted(labels):
            places = [place for place, item in enumerate(objects) if item.label == label]
            numbers |= self._of_class(label, places, objects, width, height)
        kept = [
            (item, numbers.get(place))
            for place, item in enumerate(objects)
            if place in numbers or (item.score or 0.0) >= self._enough(item.label)
        ]
        return tuple(item for item, _ in kept), tuple(number for _, number in kept)

    def _enough(self, label: str) -> float:
        return self._wanted.thresholds.get(label, self._wanted.min_score)

    def _of_class(
        self,
        label: str,
        places: Sequence[int],
        objects: Sequence[ObjectAnnotation],
        width: int,
        height: int,
    ) -> dict[int, int]:
        """The number of each object of a class, by its place."""
        import numpy as np
        import supervision

        if label not in self._by_class:
            enough = self._enough(label)
            self._by_class[label] = self._make(
                frame_rate=self._rate,
                track_activation_threshold=enough,
                high_conf_det_threshold=enough,
            )
        rows = [to_pixels(objects[place].box, width=width, height=height) for place in places]
        found = supervision.Detections(
            xyxy=np.array(rows, np.float32).reshape(-1, 4),
            confidence=np.array([objects[place].score for place in places], np.float32),
            class_id=np.array(places, int),  # comes back beside the tracker's own number
        )
        followed = self._by_class[label].update(found)
        if followed.class_id is None:
            return {}
        rows_found = zip(followed.class_id.tolist(), followed.tracker_id.tolist(), strict=True)
        return {
            place: self._numbers.setdefault((label, track), len(self._numbers) + 1)
            for place, track in rows_found
            if track >= 0
        }


def _tracker_class() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from trackers import ByteTrackTracker
    except ImportError as error:
        raise SetupError(
            "Following objects needs the trackers package.",
            where="--track",
            found=str(error),
            fix='Install it: pip install "tfod_kit[video]"',
        ) from error
    return ByteTrackTracker

"""What every detector can do, and what those of every runtime share: batches and names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.detectors.objects import as_objects
from tfod_kit.errors import UsageError


class Detector(Protocol):
    """What every loaded model can do.

    Attributes:
      source: what was loaded: a checkpoint prefix, a SavedModel folder, a model file.
      step: the training step the weights are from; None when that is not known.
      label_map: the classes; None when no label map came with the model.
    """

    source: Path
    step: int | None
    label_map: LabelMap | None

    def detect(
        self, images: Sequence[Any], *, min_score: float = 0.0
    ) -> list[tuple[ObjectAnnotation, ...]]:
        """The objects in each image, highest score first, every score above the model's own limit.

        Args:
          images: uint8 arrays [height, width, 3], RGB, of any sizes.
          min_score: objects below it are left out; saves drawing their masks.
        """
        ...


class Runtime(Protocol):
    """A module of this package: one kind of model, and what runs it.

    Attributes:
      EXPECTED: what it loads, for messages: "a folder with ...".
    """

    EXPECTED: str

    def find(self, path: Path) -> Path | None:
        """What is meant by a path: itself, a file in it; None where it holds no such model.

        Looks at names alone, so that no package need be there.
        """
        ...

    def load(
        self, found: Path, *, label_map: Path | None, checkpoint: Path | str | None
    ) -> Detector:
        """The detector.

        Args:
          found: what `find` gave.
          label_map: the user's own; what lies beside the model otherwise.
          checkpoint: a prefix, "latest" or "best"; None means the newest. Exports have only one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image that is ready for the model.

    Attributes:
      pixels: [H, W, C], as the model wants it.
      true_shape: the height, width and channels of it that are not padding.
      size: the image's own height and width, px.
    """

    pixels: Any
    true_shape: tuple[int, int, int]
    size: tuple[int, int]


class BatchDetector:
    """Images that are of one size once they are prepared go through the model together.

    A runtime's detector sets the attributes and defines `_run`; and `prepare`, where images are
    resized outside of the model. `prepare` may be called from any thread, ahead of time.

    Attributes:
      largest_batch: how many images the model takes at once; None when any number.
    """

    source: Path
    step: int | None = None
    label_map: LabelMap | None = None
    largest_batch: int | None = None

    def detect(
        self, images: Sequence[Any], *, min_score: float = 0.0
    ) -> list[tuple[ObjectAnnotation, ...]]:
        """See `Detector.detect`.

        Raises:
          UsageError: an image is no uint8 array [height, width, 3].
        """
        for place, image in enumerate(images):
            _check(image, place)
        return self.detect_prepared([self.prepare(image) for image in images], min_score=min_score)

    def prepare(self, image: Any) -> Prepared:
        """One uint8 image [height, width, 3], resized if that is not done by the model itself."""
        height, width = image.shape[:2]
        return Prepared(image, (height, width, 3), (height, width))

    def detect_prepared(
        self, images: Sequence[Prepared], *, min_score: float = 0.0
    ) -> list[tuple[ObjectAnnotation, ...]]:
        """As `detect`, on images that went through `prepare`."""
        import numpy as np

        found: dict[int, tuple[ObjectAnnotation, ...]] = {}
        for places in self._batches(images):
            batch = [images[place] for place in places]
            outputs = self._run(
                np.stack([image.pixels for image in batch]),
                np.array([image.true_shape for image in batch], np.int32),
            )
            for row, place in enumerate(places):
                found[place] = as_objects(
                    {name: values[row] for name, values in outputs.items()},
                    self.label_map,
                    size=images[place].size,
                    min_score=min_score,
                )
        return [found[place] for place in range(len(images))]

    def _run(self, pixels: Any, true_shapes: Any) -> Mapping[str, Any]:
        """The model on one batch.

        Args:
          pixels: [batch, H, W, C].
          true_shapes: int32 [batch, 3].

        Returns:
          those of `objects.OUTPUTS` that the model has, as numpy arrays [batch, ...].
        """
        raise NotImplementedError

    def _batches(self, images: Sequence[Prepared]) -> list[list[int]]:
        """The places of images that go together."""
        alike: dict[tuple[int, ...], list[int]] = {}
        for place, image in enumerate(images):
            alike.setdefault(tuple(image.pixels.shape), []).append(place)
        return [
            places[start : start + (self.largest_batch or len(places))]
            for places in alike.values()
            for start in range(0, len(places), self.largest_batch or len(places))
        ]


def _check(image: Any, place: int) -> None:
    shape, kind = getattr(image, "shape", None), str(getattr(image, "dtype", type(image).__name__))
    if shape is None or len(shape) != 3 or shape[2] != 3 or kind != "uint8" or 0 in shape:
        raise UsageError(
            "A detector cannot take this image.",
            where=f"image {place} of those given",
            expected="a uint8 array [height, width, 3], RGB",
            found=f"{kind} {list(shape) if shape is not None else ''}".strip(),
            fix='Read it as np.asarray(Image.open(path).convert("RGB")).',
        )

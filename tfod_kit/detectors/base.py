"""The interface of every detector, and what the runtimes share: batching and class names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.labels import LabelMap
from tfod_kit.detectors.input_size import InputSize
from tfod_kit.detectors.objects import as_objects
from tfod_kit.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image: TypeAlias = NDArray[np.uint8]
    Array: TypeAlias = NDArray[Any]


class Detector(Protocol):
    """A loaded model.

    Attributes:
      source: what was loaded: a checkpoint prefix, a SavedModel folder, a model file.
      step: the training step of the weights; None if unknown.
      label_map: the classes; None if the model came without a label map.
    """

    source: Path
    step: int | None
    label_map: LabelMap | None

    def detect(
        self, images: Sequence["Image"], *, min_score: float = 0.0
    ) -> list[tuple[ObjectAnnotation, ...]]:
        """Detects the objects in each image.

        Args:
          images: uint8 arrays [height, width, 3], RGB, of any sizes.
          min_score: objects with a lower score are left out; their masks are never drawn.

        Returns:
          For each image its objects, highest score first.
        """
        ...


class Runtime(Protocol):
    """A module of this package: it loads one kind of model.

    Attributes:
      EXPECTED: what it loads, for messages: "a folder with ...".
    """

    EXPECTED: str

    def find(self, path: Path) -> Path | None:
        """The model that a path means: the path itself or a file in it; None if not found.

        Looks at file names only, so that the runtime's packages need not be installed.
        """
        ...

    def load(
        self, location: Path, *, label_map: Path | None, checkpoint: Path | str | None
    ) -> Detector:
        """Loads the model.

        Args:
          location: the path that `find` returned.
          label_map: the user's label map; by default the one beside the model.
          checkpoint: a prefix, "latest" or "best"; None means the newest. Exports have only one.
        """
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image that is ready for the model.

    Attributes:
      pixels: [H, W, C], as the model's input.
      true_shape: height, width and channels without padding.
      size: height and width of the original image, px.
    """

    pixels: "Array"
    true_shape: tuple[int, int, int]
    size: tuple[int, int]


class BatchDetector:
    """Runs images in batches: those that have one size once they are prepared.

    A subclass sets the attributes and defines `_run`; it overrides `prepare` if images are resized
    outside of the model. `prepare` may be called from any thread, ahead of time.

    Attributes:
      largest_batch: how many images the model takes at once; None if any number.
      is_shared: whether several threads may detect at once.
    """

    source: Path
    step: int | None = None
    label_map: LabelMap | None = None
    largest_batch: int | None = None
    is_shared: bool = False
    _input_size: InputSize | None = None

    def detect(
        self, images: Sequence["Image"], *, min_score: float = 0.0
    ) -> list[tuple[ObjectAnnotation, ...]]:
        """Detects the objects in each image, as `Detector.detect` describes.

        Raises:
          UsageError: an image is not a uint8 array [height, width, 3].
        """
        for index, image in enumerate(images):
            _check(image, index)
        return self.detect_prepared([self.prepare(image) for image in images], min_score=min_score)

    def input_size(self, height: int, width: int) -> tuple[int, int] | None:
        """The height and width in px to which the model resizes an image, without padding.

        None if unknown. The model does not resize an image of this size again, so a caller may
        resize with `resize.sampled` to save memory, and to batch images of different sizes.

        Args:
          height, width: of the image, px.
        """
        return self._input_size(height, width) if self._input_size is not None else None

    def prepare(self, image: "Image") -> Prepared:
        """Prepares one uint8 image [height, width, 3]; resizes it unless the model does."""
        height, width = image.shape[:2]
        return Prepared(image, (height, width, 3), (height, width))

    def detect_prepared(
        self, images: Sequence[Prepared], *, min_score: float = 0.0
    ) -> list[tuple[ObjectAnnotation, ...]]:
        """Detects like `detect`, in images that `prepare` returned."""
        import numpy as np

        objects: dict[int, tuple[ObjectAnnotation, ...]] = {}
        for indices in self._batches(images):
            batch = [images[index] for index in indices]
            outputs = self._run(
                np.stack([image.pixels for image in batch]),
                np.array([image.true_shape for image in batch], np.int32),
            )
            for row, index in enumerate(indices):
                objects[index] = as_objects(
                    {name: values[row] for name, values in outputs.items()},
                    self.label_map,
                    size=images[index].size,
                    min_score=min_score,
                )
        return [objects[index] for index in range(len(images))]

    def _run(self, pixels: "Array", true_shapes: "Array") -> Mapping[str, "Array"]:
        """Runs the model on one batch.

        Args:
          pixels: [batch, H, W, C].
          true_shapes: int32 [batch, 3].

        Returns:
          The model's outputs that `objects.OUTPUTS` names, as arrays [batch, ...].
        """
        raise NotImplementedError

    def _batches(self, images: Sequence[Prepared]) -> list[list[int]]:
        """The indices of the images of each batch."""
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            by_shape.setdefault(tuple(image.pixels.shape), []).append(index)
        return [
            indices[start : start + (self.largest_batch or len(indices))]
            for indices in by_shape.values()
            for start in range(0, len(indices), self.largest_batch or len(indices))
        ]


def _check(image: object, index: int) -> None:
    shape, dtype = getattr(image, "shape", None), str(getattr(image, "dtype", type(image).__name__))
    if shape is None or len(shape) != 3 or shape[2] != 3 or dtype != "uint8" or 0 in shape:
        raise UsageError(
            "A detector cannot take this image.",
            where=f"image {index} of the list",
            expected="a uint8 array [height, width, 3], RGB",
            found=f"{dtype} {list(shape) if shape is not None else ''}".strip(),
            fix='Read it as np.asarray(Image.open(path).convert("RGB")).',
        )

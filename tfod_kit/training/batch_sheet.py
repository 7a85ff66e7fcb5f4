"""Draws the images that a training begins with, as the model gets them, on one sheet.

It shows wrong boxes, colours or augmentations before hours of training.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tfod_kit.core import labels
from tfod_kit.core.annotations import Keypoint, ObjectAnnotation, Rle
from tfod_kit.core.boxes import Box
from tfod_kit.core.wording import counted
from tfod_kit.drawing import contact_sheet, visualize
from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import DetectionModel, Tensor
from tfod_kit.errors import first_line
from tfod_kit.io import files
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.runs import run_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Array: TypeAlias = NDArray[np.floating[Any]]
    Tile: TypeAlias = tuple[Image.Image, str]

MOST = 16  # images on a sheet
ENOUGH = 4  # images; a training with smaller batches shows several
_CELL = (320, 320)  # px
_LARGEST = 3.0  # the factor by which small images are enlarged at most
_PROBE = 32  # px: the image that shows a model's scaling
_QUALITY = 88  # of JPEG
_VISIBLE = 2


def tiles(batch: Tensor, model: DetectionModel, config: PipelineConfig) -> list["Tile"]:
    """Draws the images of a batch with their ground truth: boxes, masks, keypoints, names.

    Args:
      batch: (features, labels) as upstream's `inputs.train_input` yields them.
      model: upstream's DetectionModel, whose scaling of the pixels is undone.
      config: the pipeline config; its label map contains the names.
    """
    path = Path(config.train_input_reader.label_map_path)
    names = labels.load(path).names if path.is_file() else {}
    colours = visualize.palette(names.values())
    scaling = _scaling(model)
    drawn = []
    for pixels, truth in _images(batch):
        image, objects = _fitted(_as_image(pixels, scaling)), _objects(truth, names)
        caption = counted(len(objects), "object")
        drawn.append((visualize.draw(image, objects, colours), caption))
    return drawn


def sheet(drawn: Sequence["Tile"]) -> "Image.Image":
    """Arranges what `tiles` returned on one sheet."""
    return contact_sheet.arrange(drawn[:MOST], _CELL)


def save(image: "Image.Image", folder: Path) -> Path:
    """Saves a sheet in a run folder; returns its path.

    Raises:
      UsageError: the file cannot be written.
    """
    path = folder / run_folder.AUGMENTED
    with files.atomic_file(path) as stream:
        image.save(stream, format="JPEG", quality=_QUALITY)
    return path


@contextmanager
def optional() -> Iterator[None]:
    """Reports an error of the block instead of raising it: a training goes on without drawings."""
    try:
        yield
    except Exception as error:  # any that an unusual model or batch may raise
        print(f"The first training images are not drawn: {first_line(error)}", flush=True)


def _images(batch: Tensor) -> Iterator[tuple["Array", dict[str, "NDArray[Any]"]]]:
    """The pixels and the ground truth of each image, without the rows that only pad a batch."""
    import numpy as np

    features, truth = batch
    every = truth["groundtruth_boxes"].shape[1]
    for index, count in enumerate(truth["num_groundtruth_boxes"].numpy()[:MOST]):
        pixels = np.asarray(features["image"][index], dtype=np.float32)  # may be bfloat16
        rows = {
            name: value[index, :count].numpy()
            for name, value in truth.items()
            if len(value.shape) > 1 and value.shape[1] == every
        }
        yield pixels, rows


def _objects(
    rows: Mapping[str, "NDArray[Any]"], names: Mapping[int, str]
) -> list[ObjectAnnotation]:
    """The annotations of one image, whose label ids start at 1."""
    objects = []
    for row, (box, classes) in enumerate(
        zip(rows["groundtruth_boxes"], rows["groundtruth_classes"], strict=True)
    ):
        ids = [int(index) + 1 for index in (classes > 0).nonzero()[0]]
        objects.append(
            ObjectAnnotation(
                ", ".join(names.get(number, f"class {number}") for number in ids) or "no class",
                Box(*map(float, box)),
                mask=_mask(rows, row),
                keypoints=_keypoints(rows, row),
            )
        )
    return objects


def _mask(rows: Mapping[str, "NDArray[Any]"], row: int) -> Rle | None:
    if "groundtruth_instance_masks" not in rows:
        return None
    import numpy as np
    from pycocotools import mask as coco_mask

    inside = np.asfortranarray(rows["groundtruth_instance_masks"][row] > 0.5, dtype=np.uint8)
    return Rle(coco_mask.encode(inside)["counts"], *inside.shape)


def _keypoints(rows: Mapping[str, "NDArray[Any]"], row: int) -> tuple[Keypoint, ...]:
    if "groundtruth_keypoints" not in rows:
        return ()
    points = rows["groundtruth_keypoints"][row]
    visible = rows["groundtruth_keypoint_visibilities"][row]
    return tuple(
        Keypoint(float(y), float(x), _VISIBLE)
        for (y, x), shown in zip(points, visible, strict=True)
        if shown and y == y  # not NaN
    )


def _scaling(model: DetectionModel) -> tuple["Array", "Array"] | None:
    """The matrix and the offset with which a model scales the channels: pixel @ matrix + offset.

    Measured with images of one colour, because each feature extractor has its own: to [-1, 1], by
    means and deviations, with the channels in another order. None if it is not invertible.
    """
    import numpy as np

    black_and_primaries = np.vstack([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32)
    probes = np.tile(black_and_primaries[:, None, None], (1, _PROBE, _PROBE, 1))
    scaled, _ = model.preprocess(runtime.start().constant(probes))
    corners = np.asarray(scaled[:, 0, 0], dtype=np.float64)
    if corners.shape != (4, 3):
        return None
    matrix = (corners[1:] - corners[0]) / 255
    return (matrix, corners[0]) if abs(np.linalg.det(matrix)) > 1e-12 else None


def _as_image(pixels: "Array", scaling: tuple["Array", "Array"] | None) -> "Image.Image":
    """An image of a batch with the model's scaling undone; else stretched to 0..255."""
    import numpy as np
    from PIL import Image

    if scaling is not None and pixels.shape[-1] == 3:
        matrix, offset = scaling
        values = (pixels - offset) @ np.linalg.inv(matrix)
    else:
        shown = pixels[..., :3] if pixels.shape[-1] >= 3 else np.repeat(pixels[..., :1], 3, -1)
        low, high = float(shown.min()), float(shown.max())
        values = (shown - low) * (255 / max(high - low, 1e-6))
    return Image.fromarray(np.uint8(np.clip(np.round(values), 0, 255)))


def _fitted(image: "Image.Image") -> "Image.Image":
    """The image at the size at which it fills a cell."""
    from PIL import Image

    scale = min(_CELL[0] / image.width, _CELL[1] / image.height, _LARGEST)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC)

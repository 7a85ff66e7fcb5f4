"""Writes curves and images for TensorBoard."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tfod_kit.core import labels
from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.drawing import visualize
from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import Tensor
from tfod_kit.pipeline_config import PipelineConfig

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf
    from numpy.typing import NDArray
    from PIL import Image

    Writer: TypeAlias = tf.summary.SummaryWriter

_INPUT_IMAGES = 3


@contextmanager
def writer(folder: Path) -> Iterator["Writer"]:
    """Opens a TensorBoard writer for a folder; it is closed at the end of the block."""
    tf = runtime.start()
    opened = tf.summary.create_file_writer(str(folder))
    try:
        yield opened
    finally:
        opened.close()


def scalars(target: "Writer", step: int, values: Mapping[str, float]) -> None:
    """Adds a point at `step` to the curve of each name."""
    tf = runtime.start()
    with target.as_default():
        for name, value in values.items():
            tf.summary.scalar(name, value, step=step)


def images(target: "Writer", step: int, name: str, shown: Iterable["Image.Image"]) -> None:
    """Adds images under one name at `step`."""
    import numpy as np

    tf = runtime.start()
    with target.as_default():
        for index, image in enumerate(shown):
            tf.summary.image(f"{name}/{index}", np.asarray(image)[None], step=step)


def input_images(target: "Writer", batch: Tensor, config: PipelineConfig, step: int) -> None:
    """Adds the first images of a training batch, as the model gets them, with boxes and names.

    They show wrong boxes, colours or augmentations before hours of training.

    Args:
      target: a writer.
      batch: (features, labels) as upstream's `inputs.train_input` yields them.
      config: the pipeline config; its label map contains the names.
      step: the step of the run.
    """
    features, truth = batch
    path = Path(config.train_input_reader.label_map_path)
    names = labels.load(path).names if path.is_file() else {}
    colours = visualize.palette(names.values())
    shown = [
        visualize.draw(
            _as_image(features["image"][index].numpy()),
            _ground_truth(
                truth["groundtruth_boxes"][index].numpy(),
                truth["groundtruth_classes"][index].numpy(),
                names,
            ),
            colours,
        )
        for index in range(min(_INPUT_IMAGES, len(features["image"])))
    ]
    images(target, step, "training_input", shown)


def _as_image(pixels: "NDArray[np.floating]") -> "Image.Image":
    """Undoes a model's scaling, whichever it is, by stretching the values to 0..255."""
    import numpy as np
    from PIL import Image

    low, high = float(pixels.min()), float(pixels.max())
    return Image.fromarray(np.uint8((pixels - low) * (255 / max(high - low, 1e-6))))


def _ground_truth(
    box_rows: "NDArray[np.float32]", one_hot: "NDArray[np.float32]", names: Mapping[int, str]
) -> list[ObjectAnnotation]:
    """The annotations of one image; rows of zeros only pad the batch."""
    return [
        ObjectAnnotation(names.get(int(row.argmax()) + 1, "?"), Box(*map(float, box)))
        for box, row in zip(box_rows, one_hot, strict=True)
        if box.any() and row.any()
    ]

"""What TensorBoard shows: curves and pictures."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit.core import labels
from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.core.boxes import Box
from tfod_kit.drawing import visualize
from tfod_kit.engine import runtime

if TYPE_CHECKING:
    from PIL import Image

_INPUT_IMAGES = 3


@contextmanager
def writer(folder: Path) -> Iterator[Any]:
    """A TensorBoard writer for a folder, flushed and closed at the end of the block."""
    tf = runtime.start()
    made = tf.summary.create_file_writer(str(folder))
    try:
        yield made
    finally:
        made.close()


def scalars(target: Any, step: int, values: Mapping[str, float]) -> None:
    """Adds a point at `step` to the curve of each name."""
    tf = runtime.start()
    with target.as_default():
        for name, value in values.items():
            tf.summary.scalar(name, value, step=step)


def images(target: Any, step: int, name: str, shown: Iterable["Image.Image"]) -> None:
    """Shows pictures under one name at `step`."""
    import numpy as np

    tf = runtime.start()
    with target.as_default():
        for place, image in enumerate(shown):
            tf.summary.image(f"{name}/{place}", np.asarray(image)[None], step=step)


def input_images(target: Any, batch: Any, config: Any, step: int) -> None:
    """Shows the first pictures of a training batch as the model gets them, boxes and names drawn.

    Wrong boxes, colours or augmentations are seen here at a glance, before hours of training.

    Args:
      target: a writer.
      batch: (features, labels) as upstream's `inputs.train_input` yields them.
      config: the pipeline config; its label map gives the names.
      step: where the run stands.
    """
    features, truth = batch
    path = Path(config.train_input_reader.label_map_path)
    names = labels.load(path).names if path.is_file() else {}
    colours = visualize.palette(names.values())
    shown = [
        visualize.draw(
            _as_picture(features["image"][place].numpy()),
            _ground_truth(
                truth["groundtruth_boxes"][place].numpy(),
                truth["groundtruth_classes"][place].numpy(),
                names,
            ),
            colours,
        )
        for place in range(min(_INPUT_IMAGES, len(features["image"])))
    ]
    images(target, step, "training_input", shown)


def _as_picture(pixels: Any) -> "Image.Image":
    """Undoes a model's scaling, whichever it is, by stretching the values over 0..255."""
    import numpy as np
    from PIL import Image

    low, high = float(pixels.min()), float(pixels.max())
    return Image.fromarray(np.uint8((pixels - low) * (255 / max(high - low, 1e-6))))


def _ground_truth(box_rows: Any, one_hot: Any, names: Mapping[int, str]) -> list[ObjectAnnotation]:
    """The annotations of one image; rows of zeros only pad the batch."""
    return [
        ObjectAnnotation(names.get(int(row.argmax()) + 1, "?"), Box(*map(float, box)))
        for box, row in zip(box_rows, one_hot, strict=True)
        if box.any() and row.any()
    ]

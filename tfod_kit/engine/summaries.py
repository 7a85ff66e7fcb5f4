"""Writes curves and images for TensorBoard."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tfod_kit.engine import runtime

if TYPE_CHECKING:
    import tensorflow as tf
    from PIL import Image

    Writer: TypeAlias = tf.summary.SummaryWriter


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

"""The way of one image through the service: opened, decoded, shrunk, detected, drawn."""

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfod_kit import prediction
from tfod_kit.core.annotations import ObjectAnnotation
from tfod_kit.detectors import resize
from tfod_kit.detectors.base import BatchDetector, Prepared
from tfod_kit.drawing import visualize
from tfod_kit.io import hardware
from tfod_kit.serving import decoding
from tfod_kit.serving.batching import Batcher, Objects
from tfod_kit.serving.decoding import Opened
from tfod_kit.serving.limits import Refusal
from tfod_kit.serving.memory import Memory
from tfod_kit.serving.metrics import Metrics
from tfod_kit.serving.options import DetectOptions, ServeOptions
from tfod_kit.serving.threads import Threads
from tfod_kit.serving.uploads import Upload

if TYPE_CHECKING:
    from PIL import Image

    from tfod_kit.detectors import Detector

SMALL_PIXELS = 4_000_000  # images up to this size never wait behind larger ones
# The largest image that is given to a model whose own input size is unknown.
MOST_UNKNOWN_PIXELS = 2_000_000
MOST_DRAWN_PIXELS = 16_000_000

# Bytes per pixel of what a model is given: three channels of float32, three times (the prepared
# image, its copy in the batch, and the runtime's).
_INPUT = 36
# A model without a known input size normalises and resizes the whole image in float32.
_UNKNOWN_INPUT = 60
_IMAGE = 4  # bytes per pixel of the decoded image, while it is resized
_MASK = 4  # of the image, for the outline of one mask
_DRAWN = 20  # of the image with boxes: kept, copied, as an array, and its masks


class Images:
    """Detects in the images of requests, within the memory.

    Args:
      detector: the model.
      options: batches and limits.
      memory: what images may take, from upload to response.
      metrics: count batches and objects.
      calls: how many batches may be in the model at once.
    """

    def __init__(
        self,
        detector: "Detector",
        options: ServeOptions,
        memory: Memory,
        metrics: Metrics,
        calls: int,
    ) -> None:
        self._model = _Model(detector)
        self._limits = options.limits
        self._memory = memory
        self._metrics = metrics
        self._colours = visualize.palette(detector.label_map or ())
        self.batcher: Batcher[Prepared] = Batcher(
            self._model.detect,
            largest=options.batch_size,
            window_s=options.window_s,
            observe=metrics.batches.observe,
            calls=calls,
        )
        # Pillow releases the GIL while it decodes. Large images leave a core for the small ones.
        cores = hardware.cores()
        self._small = Threads(cores, "images")
        self._large = Threads(max(1, cores - 1), "large")

    async def detect(
        self, upload: Upload, options: DetectOptions
    ) -> tuple[prediction.Prediction, bytes]:
        """The objects in one image, and the drawn image as JPEG if it is asked for, else b"".

        Raises:
          Refusal: it is not an image, damaged or too large.
        """
        # The header of a JPEG is read in less time than a thread takes to start with it.
        opened = (
            decoding.open_upload(upload, self._limits)
            if decoding.is_jpeg(upload)
            else await self._small.run(decoding.open_upload, upload, self._limits)
        )
        needed, kept = self._memory_of(opened, draw=options.draw)
        if needed > self._memory.largest:
            raise _too_much(opened, needed, self._memory.largest)
        threads = self._small if self._memory.is_small(needed) else self._large
        async with self._memory.hold(needed) as held:
            image, prepared = await threads.run(self._decode, opened, options.draw)
            del opened  # Pillow keeps what it decoded in the image that was opened
            held.reduce(kept)
            objects = await self.batcher.detect(prepared, options.min_score)
            drawn = await threads.run(self._draw, image, objects) if image else b""
        self._metrics.count_objects(objects)
        height, width = prepared.size
        return prediction.Prediction(Path(upload.name), width, height, objects), drawn

    def close(self) -> None:
        """Ends the threads."""
        self._small.close()
        self._large.close()

    def _memory_of(self, opened: Opened, *, draw: bool) -> tuple[int, int]:
        """The bytes that an image takes until it is resized, and from then on until its answer."""
        drawn = min(opened.pixels, MOST_DRAWN_PIXELS) if draw else 0
        resized = self._model.input_bytes(opened)
        resizing = (opened.pixels + drawn) * _IMAGE + resized
        kept = resized + max(drawn * _DRAWN, opened.pixels * _MASK)
        return max(opened.decoding_bytes, resizing, kept), kept

    def _decode(self, opened: Opened, keep: bool) -> "tuple[Image.Image | None, Prepared]":
        """The image as the model's input, and itself, to draw on, if it is to be kept."""
        image = decoding.decode(opened)
        prepared = self._model.prepare(image)
        return (_bounded(image, MOST_DRAWN_PIXELS) if keep else None), prepared

    def _draw(self, image: "Image.Image", objects: Sequence[ObjectAnnotation]) -> bytes:
        stream = io.BytesIO()
        visualize.draw(image, objects, self._colours).save(stream, "JPEG", quality=92)
        return stream.getvalue()


class _Model:
    """A detector that takes images in the size of its input.

    Images are resized while they are decoded, so that one of 40 megapixels takes no more room in a
    batch than any other, and images of different sizes share one.
    """

    def __init__(self, detector: "Detector") -> None:
        self._detector = detector

    def input_bytes(self, opened: Opened) -> int:
        """The memory that an image takes as the model's input."""
        height, width = opened.image.height, opened.image.width
        # Whether it has to be turned is known only once it is decoded.
        sizes = [self._input_size(height, width), self._input_size(width, height)]
        known = [size[0] * size[1] for size in sizes if size is not None]
        if known:
            return max(known) * _INPUT
        return min(opened.pixels, MOST_UNKNOWN_PIXELS) * _UNKNOWN_INPUT

    def prepare(self, image: "Image.Image") -> Prepared:
        """The model's input for an image in RGB."""
        size = self._input_size(image.height, image.width)
        if size is not None:
            pixels = resize.sampled(image, *size)
        else:
            pixels = np.asarray(_bounded(image, MOST_UNKNOWN_PIXELS))
        if isinstance(self._detector, BatchDetector):
            prepared = self._detector.prepare(pixels)
        else:
            height, width = pixels.shape[:2]
            prepared = Prepared(pixels, (height, width, 3), (height, width))
        return replace(prepared, size=(image.height, image.width))

    def detect(self, images: Sequence[Prepared], *, min_score: float) -> Sequence[Objects]:
        """The objects in each image."""
        if isinstance(self._detector, BatchDetector):
            return self._detector.detect_prepared(images, min_score=min_score)
        return self._detector.detect([image.pixels for image in images], min_score=min_score)

    def _input_size(self, height: int, width: int) -> tuple[int, int] | None:
        if isinstance(self._detector, BatchDetector):
            return self._detector.input_size(height, width)
        return None


def _bounded(image: "Image.Image", most: int) -> "Image.Image":
    """An image, shrunk to `most` pixels if it has more."""
    from PIL import Image

    scale = math.sqrt(most / (image.width * image.height))
    if scale >= 1:
        return image
    size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX)


def _too_much(opened: Opened, needed: int, most: int) -> Refusal:
    megabytes = -(-needed // 10**6)
    return Refusal(
        413,
        f"{opened.upload.subject} needs {megabytes:,} MB of memory while it is decoded; at most "
        f"{most // 10**6:,} MB are available for one image. Send it smaller, or as a JPEG that is "
        "not progressive.",
    )

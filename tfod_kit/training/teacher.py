"""A teacher: a trained model whose detections a smaller one learns from, beside the annotations.

It sees every image as the student does, after the augmentations (Beyer et al., arXiv:2106.05237),
but in its own input size. It detects in the input pipeline, so that the training step gets its
detections with the batch; engine/distillation.py turns them into a loss.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit import detectors, pipeline_config
from tfod_kit.core.labels import LabelMap
from tfod_kit.detectors import BatchDetector, classes
from tfod_kit.detectors.base import Detector
from tfod_kit.detectors.checkpoint import CheckpointDetector
from tfod_kit.engine import distillation, runtime
from tfod_kit.engine.upstream import Dataset, DetectionModel, Tensor
from tfod_kit.errors import UsageError
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.runs import checkpoints
from tfod_kit.training.teacher_options import TeacherOptions
from tfod_kit.training.teacher_outputs import Detections, Output, Predictions, same_anchors

if TYPE_CHECKING:
    from tfod_kit.training.teacher_outputs import Floats

_CHECKPOINT = "checkpoint"  # in detectors.RUNTIMES
_SHAPES = ((100, 100), (100, 200), (200, 100))  # height, width: which sides does it resize them to?
_IMAGE, _SIZE = "teacher_image", "teacher_image_size"  # in the features, until it has detected
_COLOURS = 3
_UNKNOWN = 640  # px, the side of images for a teacher of which no size is known


class Teacher:
    """Detects in the images of batches.

    Args:
      output: what it puts into the features.
      canvas: height and width in px of the images that it gets.
      distorts: whether images fill the canvas; else they keep their aspect ratio, and are padded.
      weight: of the distillation loss.
    """

    def __init__(
        self, output: Output, canvas: tuple[int, int], *, distorts: bool, weight: float
    ) -> None:
        self._tf = runtime.start()
        self._output = output
        self._canvas = canvas
        self._distorts = distorts
        self.weight = weight

    def image(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """An augmented image, as it is kept for the teacher, and its size in px without padding.

        Args:
          image: float32 [height, width, channels], in [0, 255].

        Returns:
          uint8 [H, W, 3] and int32 [2].
        """
        tf = self._tf
        size = tf.constant(self._canvas)
        if not self._distorts:
            sides = tf.cast(tf.shape(image)[:2], tf.float32)
            scale = tf.reduce_min(tf.cast(size, tf.float32) / sides)
            size = tf.clip_by_value(tf.cast(tf.round(scale * sides), tf.int32), 1, size)
        resized = tf.clip_by_value(tf.round(tf.image.resize(image[..., :_COLOURS], size)), 0, 255)
        pixels = tf.image.pad_to_bounding_box(tf.cast(resized, tf.uint8), 0, 0, *self._canvas)
        return tf.ensure_shape(pixels, [*self._canvas, _COLOURS]), size

    def detect(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """The features of a batch with detections in place of the teacher's images."""
        from object_detection.core.standard_fields import InputDataFields as fields

        tf = self._tf
        features = dict(features)
        images, sizes = features.pop(_IMAGE), features.pop(_SIZE)
        boxes, scores = tf.numpy_function(self._detect, [images, sizes], [tf.float32, tf.float32])
        boxes, scores = (
            tf.ensure_shape(value, [images.shape[0], *shape])
            for value, shape in zip((boxes, scores), self._output.shapes, strict=True)
        )
        if not self._output.padded:
            whole = tf.cast(tf.shape(features[fields.image])[1:3], tf.float32)
            share = tf.cast(features[fields.true_image_shape][:, :2], tf.float32) / whole
            boxes *= tf.tile(share, [1, 2])[:, None]
        return features | dict(zip(self._output.names, (boxes, scores), strict=True))

    def try_out(self) -> None:
        """Detects in a blank image, so that whatever fails does so before the training."""
        tf = self._tf
        self._detect(tf.zeros([1, *self._canvas, _COLOURS], tf.uint8).numpy(), [self._canvas])

    def _detect(self, images: Any, sizes: Any) -> "tuple[Floats, Floats]":
        return self._output.of(
            [image[:rows, :columns] for image, (rows, columns) in zip(images, sizes, strict=True)]
        )


class TaughtInput:
    """The teacher's part of the input pipeline.

    To upstream's input it is the student's model, whose `preprocess` gets each augmented image.

    Args:
      teacher: the teacher.
      model: the student.
    """

    def __init__(self, teacher: Teacher, model: DetectionModel) -> None:
        self._teacher = teacher
        self._model = model
        self._seen: Tensor = None

    def preprocess(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The student's own; remembers the image."""
        self._seen = images[0]
        return self._model.preprocess(images)

    def keeping_image(self, transform: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Upstream's transformation of an image, with the teacher's image among the features."""

        def transformed(tensors: Tensor) -> Tensor:
            features, truth = transform(tensors)
            features[_IMAGE], features[_SIZE] = self._teacher.image(self._seen)
            return features, truth

        return transformed

    def detected(self, batches: Dataset) -> Dataset:
        """The batches, with detections in place of the teacher's images."""
        return batches.map(lambda features, truth: (self._teacher.detect(features), truth))


def load(options: TeacherOptions, config: PipelineConfig, config_path: Path) -> Teacher | None:
    """Loads the teacher of a training, if it has one, and reports it.

    To be called before the process is seeded and before the strategy's scope: the student's weights
    must not depend on whether there is a teacher, and the teacher's are not distributed.

    Args:
      options: the options, settled.
      config: the student's config.
      config_path: its file.

    Raises:
      UsageError: the student cannot learn from a teacher; the teacher is missing, is the run itself
        or lacks classes.
      CheckpointError, ConfigError: the teacher cannot be loaded.
    """
    if not options.used:
        return None
    distillation.check(config, config_path)
    run = config_path.parent
    source = _checked(options, run)
    detector = detectors.load(source)
    tf = runtime.start()
    tf.keras.backend.reset_uids()  # the student's layers get the names that they have without it
    own = classes.of_config(None, config, run)
    ids = _shared_ids(own, detector, source, run)
    count = config.model.ssd.num_classes
    canvas, distorts = _canvas(detector, config)
    output: Output
    if isinstance(detector, CheckpointDetector) and same_anchors(config, detector.config):
        output = Predictions(detector, ids, count, canvas)
        what = "its predictions at the anchors that both models have"
    else:
        output = Detections(detector, ids, count)
        what = f"its detections in images of {' x '.join(map(str, canvas))} px"
    teacher = Teacher(output, canvas, distorts=distorts, weight=options.factor)
    teacher.try_out()
    print(
        f"The teacher is {detector.source}: {what} count with weight {options.factor:g}", flush=True
    )
    return teacher


def _canvas(detector: Detector, config: PipelineConfig) -> tuple[tuple[int, int], bool]:
    """The size of the images that are kept for a teacher, and whether they fill it."""
    sizes = set()
    for height, width in _SHAPES:
        size = detector.input_size(height, width) if isinstance(detector, BatchDetector) else None
        if size is not None:
            sizes.add(size)
    if len(sizes) == 1:
        return sizes.pop(), True
    if not sizes:  # unknown: the student's
        fixed = pipeline_config.model_of(config).image_resizer.fixed_shape_resizer
        sizes = {(fixed.height or _UNKNOWN, fixed.width or _UNKNOWN)}
    longest = max(max(size) for size in sizes)
    return (longest, longest), False


def _checked(options: TeacherOptions, run: Path) -> Path:
    """The path of a teacher.

    Raises:
      UsageError: there is no model, or it is the run itself.
    """
    source = Path(str(options.source))
    try:
        name, location = detectors.runtime_of(source)
    except UsageError as error:
        raise UsageError(
            "There is no teacher here.",
            where=source,
            expected=error.expected,
            found=error.found,
            fix="Name a run, a checkpoint or an exported model with --teacher; --teacher none "
            "trains without one.",
        ) from error
    folder = location if location.is_dir() else location.parent
    own = (run.resolve(), (run / checkpoints.BEST).resolve())
    if name == _CHECKPOINT and folder.resolve() in own:
        raise UsageError(
            "A run cannot be its own teacher.",
            where=source,
            expected="another run, or an exported model",
            fix="Name the run of a larger model, or configure this one in a folder of its own "
            "(`tfod configure --out`).",
        )
    return source


def _shared_ids(
    own: LabelMap | None, detector: Detector, source: Path, run: Path
) -> dict[str, int]:
    """The student's class names and ids, all of which the teacher knows.

    Raises:
      UsageError: it does not, or one of them has no label map.
    """
    if own is None or detector.label_map is None:
        raise UsageError(
            "The classes of the teacher and of the run cannot be compared.",
            where=run if own is None else source,
            expected="a label map, of the config or label_map.pbtxt beside the model",
            fix="Copy the label map there.",
        )
    missing = [name for name in own if name not in detector.label_map]
    if missing:
        raise UsageError(
            f"The teacher does not know {len(missing)} of the {len(own)} classes.",
            where=source,
            expected=", ".join(own),
            found=f"{', '.join(detector.label_map)}; missing: {', '.join(missing)}",
            fix="Name a teacher that was trained on these classes; further ones do not matter.",
        )
    return dict(own.ids)

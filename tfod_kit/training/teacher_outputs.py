"""What a teacher reports of a batch of images: final detections, or its predictions at anchors."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tfod_kit import pipeline_config
from tfod_kit.core import overlap
from tfod_kit.detectors.base import Detector
from tfod_kit.detectors.checkpoint import CheckpointDetector
from tfod_kit.engine import distillation, runtime
from tfod_kit.engine.upstream import Tensor
from tfod_kit.pipeline_config import PipelineConfig, anchors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Images = Sequence[NDArray[np.uint8]]
    Floats = NDArray[np.float32]

_MOST = 100  # detections of an image
_SAME = 0.8  # IoU of boxes that are one box with several classes
_EDGES = ("ymin", "xmin", "ymax", "xmax")


class Output(Protocol):
    """What a teacher puts into the features of a batch: boxes, and a score for each class.

    Attributes:
      names: of the two features.
      shapes: their shapes, without the batch.
      padded: whether boxes are fractions of the padded input, not of the image.
    """

    names: tuple[str, str]
    shapes: tuple[tuple[int, int], tuple[int, int]]
    padded: bool

    def of(self, images: "Images") -> "tuple[Floats, Floats]":
        """The two features of a batch of images, uint8 [height, width, 3] each."""
        ...


class Detections:
    """Final detections: any teacher's.

    Args:
      detector: the teacher.
      ids: the student's class names and ids.
      classes: the student's number of classes.
    """

    names = distillation.BOXES, distillation.SCORES
    padded = False

    def __init__(self, detector: Detector, ids: Mapping[str, int], classes: int) -> None:
        self._detector = detector
        self._ids = ids
        self.shapes = (_MOST, 4), (_MOST, classes)

    def of(self, images: "Images") -> "tuple[Floats, Floats]":
        """The boxes and scores of each image, padded with zeros."""
        import numpy as np

        boxes, scores = (np.zeros((len(images), *shape), np.float32) for shape in self.shapes)
        detected = self._detector.detect(images, min_score=distillation.MIN_SCORE)
        for row, objects in enumerate(detected):
            known = [each for each in objects if each.label in self._ids and each.box.area > 0]
            if not known:
                continue
            known = known[:_MOST]
            count = len(known)
            boxes[row, :count] = [[getattr(each.box, edge) for edge in _EDGES] for each in known]
            columns = [self._ids[each.label] - 1 for each in known]
            scores[row, range(count), columns] = [each.score for each in known]
            scores[row, :count] = pooled(boxes[row, :count], scores[row, :count])
        return boxes, scores


class Predictions:
    """The predictions at each anchor: those of an SSD with the student's anchors.

    Args:
      detector: the teacher.
      ids: the student's class names and ids; the teacher has these classes too.
      classes: the student's number of classes.
      size: height and width of the model's input, px.
    """

    names = distillation.ANCHOR_BOXES, distillation.ANCHOR_SCORES
    padded = True

    def __init__(
        self,
        detector: CheckpointDetector,
        ids: Mapping[str, int],
        classes: int,
        size: tuple[int, int],
    ) -> None:
        self._detector = detector
        theirs = detector.label_map.ids if detector.label_map is not None else {}
        self._own = [number - 1 for number in ids.values()]
        self._theirs = [theirs[name] - 1 for name in ids]
        grids = anchors.grids(detector.config, *size)
        count = sum(grid.rows * grid.columns * len(grid.sizes) for grid in grids)
        self.shapes = (count, 4), (count, classes)
        self._predict = _graph(detector, size, count)

    def of(self, images: "Images") -> "tuple[Floats, Floats]":
        """The boxes and scores at each anchor of each image."""
        import numpy as np

        prepared = [self._detector.prepare(image) for image in images]
        boxes, predicted = self._predict(
            np.stack([image.pixels for image in prepared]),
            np.array([image.true_shape for image in prepared], np.int32),
        )
        scores = np.zeros((len(images), *self.shapes[1]), np.float32)
        scores[..., self._own] = predicted.numpy()[..., self._theirs]
        return boxes.numpy(), scores


def pooled(boxes: "Floats", scores: "Floats") -> "Floats":
    """The class scores of each box, with those of the boxes that are nearly the same.

    Most detectors report a box again for each class that it may have.

    Args:
      boxes: [N, 4].
      scores: [N, classes].
    """
    import numpy as np

    near = overlap.pairwise_iou(boxes, boxes) >= _SAME
    together: Floats = np.where(near[..., None], scores[None], np.float32(0)).max(axis=1)
    return together


def same_anchors(one: PipelineConfig, other: PipelineConfig) -> bool:
    """Whether two models are SSDs that have the same anchors for every image."""
    if {pipeline_config.architecture(one), pipeline_config.architecture(other)} != {"ssd"}:
        return False
    size = _input_size(one)
    if size is None or one.model.ssd.image_resizer != other.model.ssd.image_resizer:
        return False
    grids = anchors.grids(one, *size)
    return bool(grids) and grids == anchors.grids(other, *size)


def _input_size(config: PipelineConfig) -> tuple[int, int] | None:
    """Height and width of an SSD's input; None if they depend on the image."""
    resizer = config.model.ssd.image_resizer
    kind = resizer.WhichOneof("image_resizer_oneof")
    if kind == "fixed_shape_resizer":
        return resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width
    kept = resizer.keep_aspect_ratio_resizer
    if kind == "keep_aspect_ratio_resizer" and kept.pad_to_max_dimension:
        return kept.max_dimension, kept.max_dimension
    return None


def _graph(
    detector: CheckpointDetector, size: tuple[int, int], count: int
) -> Callable[..., tuple[Tensor, Tensor]]:
    """A function that predicts for prepared images.

    It returns boxes [batch, anchors, 4] and scores [batch, anchors, classes], without those of the
    background.
    """
    tf = runtime.start()
    model: Any = detector.model

    def predict(pixels: Tensor, shapes: Tensor) -> tuple[Tensor, Tensor]:
        predictions = runtime.without_autograph(model.predict)(pixels, shapes)
        boxes, _ = model._batch_decode(predictions["box_encodings"], predictions["anchors"])
        scores = model._score_conversion_fn(predictions["class_predictions_with_background"])
        scores = distillation.foreground(model, scores)
        return tf.ensure_shape(boxes, [None, count, 4]), tf.ensure_shape(
            scores, [None, count, None]
        )

    specs = [tf.TensorSpec([None, *size, 3], tf.float32), tf.TensorSpec([None, 3], tf.int32)]
    function: Callable[..., tuple[Tensor, Tensor]]
    function = tf.function(predict, input_signature=specs).get_concrete_function()
    return function

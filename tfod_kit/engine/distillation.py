"""Distillation: the loss of an SSD whose predictions differ from those of a teacher.

A teacher (training/teacher.py) puts what it detects in each image into the features of the batch.
If both models have the same anchors, these are its predictions for each anchor; otherwise they are
final detections, which the student assigns to its anchors by the rule for the ground truth. Either
way, each anchor gets a target score for each class, and a box.

Scores are compared by the quality focal loss of Li et al. (arXiv:2006.04388): the binary cross
entropy with the target score t, times (t - p)^2, which is 0 where the student agrees, whatever the
score. Boxes are compared by the student's own box loss, weighted by the teacher's confidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import Tensor
from tfod_kit.errors import UsageError
from tfod_kit.pipeline_config import PipelineConfig

LOSS = "Loss/distillation_loss"

# In a batch's features, float32; boxes are fractions of the student's padded input.
BOXES = "teacher_boxes"  # [batch, K, 4]: detections, padded with scores of 0
SCORES = "teacher_scores"  # [batch, K, classes]
ANCHOR_BOXES = "teacher_anchor_boxes"  # [batch, anchors, 4]: predictions
ANCHOR_SCORES = "teacher_anchor_scores"  # [batch, anchors, classes]

MIN_SCORE = 0.2  # boxes that the teacher is less sure of are not learnt
_FOCUS = 2.0  # the exponent of the quality focal loss


@dataclass(frozen=True, slots=True)
class Targets:
    """What the teacher predicts for each of the student's anchors.

    Attributes:
      scores: [batch, anchors, classes], in [0, 1].
      counted: [batch, anchors], 1; 0 where the teacher's opinion is unclear.
      encodings: [batch, anchors, code], boxes as the student's box coder writes them.
      weights: [batch, anchors], the teacher's confidence in the box; 0 where there is no object.
    """

    scores: Tensor
    counted: Tensor
    encodings: Tensor
    weights: Tensor


def check(config: PipelineConfig, where: object) -> None:
    """Checks that the model of a config can learn from a teacher.

    Raises:
      UsageError: it cannot.
    """
    architecture = config.model.WhichOneof("model")
    ssd: Any = config.model.ssd
    expected = "an SSD with sigmoid scores and without keypoints, as `tfod models` lists them"
    found = None
    if architecture != "ssd":
        found = architecture
    elif ssd.box_coder.WhichOneof("box_coder_oneof") == "keypoint_box_coder":
        found = "keypoints"
    elif ssd.post_processing.score_converter != ssd.post_processing.SIGMOID:
        found = "score_converter: another than SIGMOID"
    if found is not None:
        raise UsageError(
            "This model cannot learn from a teacher.",
            where=where,
            expected=expected,
            found=found,
            fix="Train without --teacher, or configure an SSD; the teacher may be any model.",
        )


def loss(model: Any, predictions: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> Tensor:
    """The difference between a student and its teacher, divided by the number of objects' anchors.

    Args:
      model: upstream's SSDMetaArch, of which `predictions` are the last.
      predictions: what its `predict` returned, as float32.
      features: those of the batch, with what the teacher put there.
    """
    tf = runtime.start()
    targets = targets_of(model, features)
    logits = foreground(model, predictions["class_predictions_with_background"])
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets.scores, logits=logits)
    focus = tf.abs(targets.scores - tf.sigmoid(logits)) ** _FOCUS
    classes = tf.reduce_sum(focus * entropy * targets.counted[..., None])
    boxes = tf.reduce_sum(
        model._localization_loss(
            predictions["box_encodings"], targets.encodings, weights=targets.weights
        )
    )
    if model._normalize_loc_loss_by_codesize:
        boxes /= model._box_coder.code_size
    total = model._classification_loss_weight * classes + model._localization_loss_weight * boxes
    return total / tf.maximum(tf.reduce_sum(targets.weights), 1.0)


def targets_of(model: Any, features: Mapping[str, Tensor]) -> Targets:
    """What the teacher predicts for the anchors of an SSD, from the features of a batch."""
    if ANCHOR_SCORES in features:
        return _predicted(model, features[ANCHOR_SCORES], features[ANCHOR_BOXES])
    return _assigned(model, features[SCORES], features[BOXES])


def foreground(model: Any, classes: Tensor) -> Tensor:
    """The columns of an SSD's class predictions [..., classes] that are not the background's."""
    has_background = model._add_background_class or model._explicit_background_class
    return classes[..., 1:] if has_background else classes


def _predicted(model: Any, scores: Tensor, boxes: Tensor) -> Targets:
    """Targets from the predictions of a teacher with the same anchors."""
    tf = runtime.start()
    from object_detection.core import box_list

    confidence = tf.reduce_max(scores, axis=-1)
    weights = tf.where(confidence < MIN_SCORE, 0.0, confidence)
    anchors = tf.tile(model.anchors.get(), [tf.shape(boxes)[0], 1])
    encodings = model._box_coder.encode(
        box_list.BoxList(tf.reshape(boxes, [-1, 4])), box_list.BoxList(anchors)
    )
    encodings = tf.reshape(encodings, tf.shape(boxes))
    # A box without weight may be infinite, and infinity times 0 is not a number.
    encodings = tf.where(weights[..., None] > 0, encodings, 0.0)
    return Targets(scores, tf.ones_like(confidence), encodings, weights)


def _assigned(model: Any, scores: Tensor, boxes: Tensor) -> Targets:
    """Targets from detections, which are assigned to anchors like the ground truth."""
    tf = runtime.start()
    from object_detection.core import box_list, target_assigner

    valid = tf.cast(tf.reduce_max(scores, axis=-1) > 0, tf.float32)
    classes, counted, encodings, matched, _ = target_assigner.batch_assign_targets(
        model._target_assigner,
        model.anchors,
        [box_list.BoxList(each) for each in tf.unstack(boxes)],
        tf.unstack(scores),
        tf.zeros([scores.shape[-1]]),  # of an anchor without a detection
        tf.unstack(valid),
    )
    weights = matched * tf.reduce_max(classes, axis=-1)
    return Targets(classes, tf.reduce_max(counted, axis=-1), encodings, weights)

"""The loss of a student beside its teacher, computed by hand for three anchors."""

import numpy as np
import pytest

from tfod_kit import pipeline_config
from tfod_kit.engine import distillation, runtime
from tfod_kit.engine import model as models
from tfod_kit.errors import UsageError
from tfod_kit.io import resources

# The second overlaps the first by a third; the last is far away.
ANCHORS = np.array([[0, 0, 0.4, 0.4], [0, 0.2, 0.4, 0.6], [0.5, 0.5, 0.9, 0.9]], np.float32)
LOGITS = np.array([[[9, 0.5, -2], [9, -1, 0], [9, -3, 2]]], np.float32)  # background first
BOXES = np.array([[[0.1, -0.2, 0.3, 0], [0, 0, 0, 0], [2, 0, 0, -3]]], np.float32)
PREDICTIONS = {"class_predictions_with_background": LOGITS, "box_encodings": BOXES}
SCALES = np.array([10, 10, 5, 5])  # of ssd_cpu's box coder


def config(name="ssd_mobilenet_v2_cpu"):
    return pipeline_config.load(resources.pipelines() / f"{name}.config")


@pytest.fixture(scope="module")
def model():
    tf = runtime.start()
    from object_detection.core import box_list

    given = config()
    given.model.ssd.num_classes = 2
    built = models.build(given, is_training=True)
    built._anchors = box_list.BoxList(tf.constant(ANCHORS))
    return built


def encoded(boxes):
    """Boxes as Faster R-CNN's box coder writes them for the anchors."""
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    own, extents = (ANCHORS[:, :2] + ANCHORS[:, 2:]) / 2, ANCHORS[:, 2:] - ANCHORS[:, :2]
    return SCALES * np.concatenate([(centres - own) / extents, np.log(sizes / extents)], axis=1)


def expected(scores, boxes, weights):
    """The loss for a target score of each anchor and class, and a weighted box of each anchor."""
    present = 1 / (1 + np.exp(-LOGITS[0, :, 1:]))
    entropy = -scores * np.log(present) - (1 - scores) * np.log(1 - present)
    classes = ((scores - present) ** 2 * entropy).sum()
    error = np.abs(encoded(boxes) - BOXES[0])
    huber = np.where(error <= 1, error**2 / 2, error - 0.5).sum(axis=1)
    return (classes + (weights * huber).sum() / 4) / max(weights.sum(), 1)


@pytest.mark.slow
def test_predictions_at_anchors_are_compared_one_by_one(model):
    scores = np.array([[0.9, 0.1], [0.19, 0.05], [0.3, 0.6]])
    boxes = ANCHORS + np.array([0.0, 0.05, 0.1, 0.0], np.float32)
    features = {
        distillation.ANCHOR_SCORES: scores[None].astype(np.float32),
        distillation.ANCHOR_BOXES: boxes[None],
    }
    loss = float(distillation.loss(model, PREDICTIONS, features))
    assert loss == pytest.approx(expected(scores, boxes, np.array([0.9, 0, 0.6])), rel=1e-4)


@pytest.mark.slow
def test_a_box_without_weight_may_be_infinite(model):
    features = {
        distillation.ANCHOR_SCORES: np.zeros((1, 3, 2), np.float32),
        distillation.ANCHOR_BOXES: np.full((1, 3, 4), np.inf, np.float32),
    }
    assert np.isfinite(float(distillation.loss(model, PREDICTIONS, features)))


@pytest.mark.slow
def test_detections_are_assigned_to_anchors_like_the_ground_truth(model):
    boxes = np.zeros((1, 3, 4), np.float32)
    boxes[0, 0] = [0.02, 0.0, 0.42, 0.4]  # the first anchor's; an IoU of 0.31 with the second
    boxes[0, 1] = [0.4, 0.4, 1.0, 1.0]  # an IoU of 0.44 with the last: its best, so it gets it
    scores = np.zeros((1, 3, 2), np.float32)
    scores[0, 0], scores[0, 1] = [0.7, 0.2], [0.0, 0.4]
    features = {distillation.SCORES: scores, distillation.BOXES: boxes}
    targets = distillation.targets_of(model, features)
    wanted, weights = np.array([[0.7, 0.2], [0, 0], [0, 0.4]]), np.array([0.7, 0, 0.4])
    assert np.allclose(targets.scores[0], wanted)
    assert np.allclose(targets.weights[0], weights)
    assert np.allclose(targets.counted[0], 1)
    to_learn = np.stack([boxes[0, 0], ANCHORS[1], boxes[0, 1]])
    loss = float(distillation.loss(model, PREDICTIONS, features))
    assert loss == pytest.approx(expected(wanted, to_learn, weights), rel=1e-4)


@pytest.mark.slow
def test_who_agrees_has_no_loss_and_no_gradient(model):
    tf = runtime.start()
    logits = tf.Variable(LOGITS)
    boxes = tf.Variable(BOXES)
    decoded, _ = model._batch_decode(boxes, model.anchors.get())
    features = {
        distillation.ANCHOR_SCORES: tf.sigmoid(logits[..., 1:]),
        distillation.ANCHOR_BOXES: tf.identity(decoded),
    }
    with tf.GradientTape() as tape:
        predictions = {"class_predictions_with_background": logits, "box_encodings": boxes}
        loss = distillation.loss(model, predictions, features)
    assert float(loss) == pytest.approx(0, abs=1e-6)
    for gradient in tape.gradient(loss, [logits, boxes]):
        assert np.allclose(gradient, 0, atol=1e-5)


@pytest.mark.slow
def test_nothing_detected_teaches_that_nothing_is_there(model):
    features = {
        distillation.SCORES: np.zeros((1, 2, 2), np.float32),
        distillation.BOXES: np.zeros((1, 2, 4), np.float32),
    }
    loss = float(distillation.loss(model, PREDICTIONS, features))
    assert loss == pytest.approx(expected(np.zeros((3, 2)), ANCHORS, np.zeros(3)), rel=1e-4)


def with_softmax():
    given = config()
    given.model.ssd.post_processing.score_converter = given.model.ssd.post_processing.SOFTMAX
    return given


def with_keypoints():
    given = config()
    given.model.ssd.box_coder.keypoint_box_coder.num_keypoints = 3
    return given


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (config("faster_rcnn_resnet50_v1"), "faster_rcnn"),
        (config("centernet_resnet50_v1_fpn"), "center_net"),
        (with_softmax(), "SIGMOID"),
        (with_keypoints(), "keypoints"),
    ],
)
def test_models_that_cannot_learn_from_a_teacher(given, found):
    with pytest.raises(UsageError, match=found):
        distillation.check(given, "pipeline.config")


@pytest.mark.parametrize("name", ["ssd_mobilenet_v2_fpnlite", "efficientdet_d0"])
def test_models_that_can(name):
    distillation.check(config(name), "pipeline.config")

"""An SSD without its postprocessing, for runtimes that have their own or none.

Its outputs are raw boxes and scores; `decoder` states what turns them into detections.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfod_kit.detectors.onnx import INPUT, LABELS
from tfod_kit.detectors.raw_boxes import Decoder
from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import Tensor
from tfod_kit.errors import ConfigError
from tfod_kit.exports import tflite
from tfod_kit.exports.source import TrainedModel
from tfod_kit.io.capture_output import capture_output


def check(source: TrainedModel) -> None:
    """Checks whether a decoder of raw boxes selects as the model does.

    Raises:
      ConfigError: the input has no fixed size, or boxes are coded or suppressed in another way.
    """
    tflite.check(source)
    ssd = source.config.model.ssd
    suppression = ssd.post_processing.batch_non_max_suppression
    coder = ssd.box_coder.WhichOneof("box_coder_oneof")
    found = [
        text
        for text, holds in (
            (f"box_coder {{ {coder} }}", coder != "faster_rcnn_box_coder"),
            (f"soft_nms_sigma: {suppression.soft_nms_sigma:g}", suppression.soft_nms_sigma > 0),
            ("use_class_agnostic_nms: true", suppression.use_class_agnostic_nms),
        )
        if holds
    ]
    if found:
        raise ConfigError(
            "This target replaces the postprocessing of an SSD, and cannot replace this one.",
            where=f"{source.run}, model.ssd",
            expected="a faster_rcnn_box_coder, and suppression of the boxes of each class",
            found=", ".join(found),
            fix="Export to saved_model, onnx or openvino, which include the postprocessing.",
        )


def metadata(source: TrainedModel, padding: tflite.Channels) -> dict[str, str]:
    """What the detectors of such models read from the file: the classes, and a `FixedInput`."""
    entries = {
        LABELS: dict(source.label_map.ids),
        INPUT: {"padding": padding, "aspect_ratio_limits": tflite.limits(source.config)},
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in entries.items()}


def outputs(source: TrainedModel) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The model as a function of a normalised image, float32 [1, height, width, 3].

    It returns the codes of the boxes [1, N, 4], relative to the anchors, and scores [1, N, C]
    without the background class.
    """
    tf = runtime.start()
    from object_detection.builders import post_processing_builder

    settings, model = source.config.model.ssd, source.model
    _, scores_of = post_processing_builder.build(settings.post_processing)

    def raw(image: Tensor) -> tuple[Tensor, Tensor]:
        predicted = model.predict(image, true_image_shapes=None)
        scores = scores_of(predicted["class_predictions_with_background"])
        codes = tf.reshape(predicted["box_encodings"], [1, -1, 4])
        return codes, scores[:, :, -settings.num_classes :]

    return raw


def traced(source: TrainedModel, function: Callable[[Tensor], Any], name: str = "input") -> Any:
    """A concrete function of an image of the model's size, float32 [1, height, width, 3].

    Args:
      source: the trained model.
      function: what is traced.
      name: the name of its input.
    """
    tf = runtime.start()
    shape = [1, *tflite.size(source.config), 3]
    with capture_output():
        return tf.function(function).get_concrete_function(
            tf.TensorSpec(shape, tf.float32, name=name)
        )


def save(source: TrainedModel, folder: Path) -> None:
    """Writes a SavedModel of the codes [1, N, 4] and the scores [N, C].

    They are recognised by their number of dimensions, since TensorFlow Lite's converter keeps
    neither their names nor their order.
    """
    tf = runtime.start()
    with capture_output():
        raw = outputs(source)

        def named(image: Tensor) -> dict[str, Tensor]:
            codes, scores = raw(image)
            return {"boxes": codes, "scores": scores[0]}

        concrete = traced(source, named)
        saved = tf.Module()
        saved.kept = concrete.graph.variables
        tf.saved_model.save(saved, str(folder), signatures=concrete)


def decoder(source: TrainedModel) -> Decoder:
    """What decodes the outputs of the model."""
    tf = runtime.start()
    height, width = tflite.size(source.config)
    predicted = source.model.predict(tf.zeros([1, height, width, 3]), true_image_shapes=None)
    edges = predicted["anchors"].numpy()  # ymin, xmin, ymax, xmax
    sides = edges[:, 2:] - edges[:, :2]
    centres = edges[:, :2] + sides / 2
    settings = source.config.model.ssd
    coder = settings.box_coder.faster_rcnn_box_coder
    suppression = settings.post_processing.batch_non_max_suppression
    return Decoder(
        tuple(
            (y, x, h, w) for (y, x), (h, w) in zip(centres.tolist(), sides.tolist(), strict=True)
        ),
        (coder.y_scale, coder.x_scale, coder.height_scale, coder.width_scale),
        suppression.score_threshold,
        suppression.iou_threshold,
        suppression.max_total_detections,
        suppression.max_detections_per_class,
    )


def decoded(codes: Tensor, decoder: Decoder) -> Tensor:
    """The edges of boxes [1, N, 4] in a graph, not clipped; `Decoder` does the same in NumPy."""
    tf = runtime.start()
    anchors = tf.constant(decoder.anchors, tf.float32)
    relative = codes / tf.constant(decoder.scales, tf.float32)
    centres = relative[..., :2] * anchors[:, 2:] + anchors[:, :2]
    halves = 0.5 * tf.exp(relative[..., 2:]) * anchors[:, 2:]
    return tf.concat([centres - halves, centres + halves], axis=-1)

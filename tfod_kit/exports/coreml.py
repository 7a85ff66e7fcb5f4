"""The Core ML target: a package for iPhones and Macs with which Apple's Vision detects.

An SSD without its postprocessing, as an ML program, is followed by Core ML's own non-maximum
suppression. The two form a pipeline with the inputs and outputs by which Vision and Xcode recognise
an object detector:
https://apple.github.io/coremltools/mlmodel/Format/NonMaximumSuppression.html
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tfod_kit.detectors.coreml import (
    CONFIDENCE,
    CONFIDENCE_THRESHOLD,
    COORDINATES,
    FILE,
    IMAGE,
    IOU_THRESHOLD,
)
from tfod_kit.detectors.raw_boxes import Decoder
from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import Tensor
from tfod_kit.errors import SetupError, first_line
from tfod_kit.exports import raw_ssd, tflite
from tfod_kit.exports.job import Job
from tfod_kit.exports.target import FLOAT32, Target
from tfod_kit.exports.tolerance import EXACT, HALF
from tfod_kit.io.capture_output import capture_output

if TYPE_CHECKING:
    from coremltools.proto.Model_pb2 import Model

_RAW = {CONFIDENCE: "raw_confidence", COORDINATES: "raw_coordinates"}


def write(job: Job) -> None:
    """Writes model.mlpackage.

    Raises:
      CheckpointError: the checkpoint does not fit the model.
      ConfigError: the preprocessing does more than subtract and divide.
      SetupError: coremltools cannot convert the model.
    """
    coremltools = _coremltools()
    decoder = raw_ssd.decoder(job.source)
    mean, std = tflite.normalisation(job.source)
    program, weights = _program(job, function(job, decoder, mean, std))
    names = list(tflite.label_lines(job.source.label_map))
    spec = pipeline(program, decoder, names)
    described = spec.description.metadata
    described.shortDescription = (
        f"Detects {', '.join(job.source.label_map)}. Exported by tfod_kit ({job.quantise})."
    )
    described.userDefined.update(raw_ssd.metadata(job.source, mean))
    with capture_output():
        package = coremltools.models.MLModel(spec, weights_dir=weights, skip_model_load=True)
        package.save(str(job.folder / FILE))


def _coremltools() -> Any:
    """The package, without its notes about versions that it was not tested with."""
    runtime.start()  # it imports TensorFlow, which has to be prepared first
    with capture_output():
        return importlib.import_module("coremltools")


def _program(job: Job, detect: Callable[[Tensor], dict[str, Tensor]]) -> tuple["Model", str]:
    """The network and the decoding of its boxes as an ML program, and the folder of its weights."""
    coremltools = _coremltools()
    concrete = raw_ssd.traced(job.source, detect, IMAGE)
    height, width = tflite.size(job.source.config)
    image = coremltools.ImageType(
        IMAGE, (1, height, width, 3), color_layout=coremltools.colorlayout.RGB
    )
    kind = coremltools.precision
    try:
        with capture_output():
            program = coremltools.convert(
                [concrete],
                source="tensorflow",
                convert_to="mlprogram",
                inputs=[image],
                minimum_deployment_target=coremltools.target.iOS15,
                compute_precision=kind.FLOAT32 if job.quantise == FLOAT32 else kind.FLOAT16,
                skip_model_load=True,
            )
            spec = program.get_spec()
            # It names outputs after operations of the graph.
            for name, tensor in zip(sorted(_RAW.values()), concrete.outputs, strict=True):
                coremltools.utils.rename_feature(spec, tensor.op.name, name)
            return spec, program.weights_dir
    except Exception as error:  # coremltools raises plain exceptions of many kinds
        raise SetupError(
            "coremltools cannot convert this model.",
            where=job.source.run,
            found=first_line(error),
            fix="Export it to tflite, which runs on iPhones too.",
        ) from error


def function(
    job: Job, decoder: Decoder, mean: tflite.Channels, std: tflite.Channels
) -> Callable[[Tensor], dict[str, Tensor]]:
    """The model as a function of pixels [1, height, width, 3], 0 to 255.

    It returns confidences [N, C] and the centres and sizes of boxes [N, 4]: x, y, width, height.
    Only the highest of a box's confidences is not 0, for two reasons: Core ML suppresses among the
    boxes with the same highest class, and Vision takes the sum of the confidences as that of any
    object.
    """
    tf = runtime.start()
    raw = raw_ssd.outputs(job.source)

    def detect(pixels: Tensor) -> dict[str, Tensor]:
        codes, scores = raw((pixels - mean) / std)
        edges = raw_ssd.decoded(codes, decoder)[0]
        low, high = edges[:, :2], edges[:, 2:]
        centre_and_size = tf.concat(
            [tf.reverse((low + high) / 2, [1]), tf.reverse(high - low, [1])], axis=1
        )
        best = tf.one_hot(tf.argmax(scores[0], axis=1), scores.shape[2])
        return {_RAW[CONFIDENCE]: scores[0] * best, _RAW[COORDINATES]: centre_and_size}

    return detect


def pipeline(program: "Model", decoder: Decoder, names: Sequence[str]) -> "Model":
    """The specification of a program followed by Core ML's non-maximum suppression.

    Args:
      program: takes an image and returns raw confidences and coordinates.
      decoder: the thresholds, and the most detections.
      names: those of the classes, in the order of the confidences.
    """
    from coremltools.proto.Model_pb2 import Model

    suppression = _suppression(program.specificationVersion, decoder, names)
    result = Model(specificationVersion=program.specificationVersion)
    result.description.input.append(program.description.input[0])
    result.description.input.extend(suppression.description.input[len(_RAW) :])
    result.description.output.extend(suppression.description.output)
    result.pipeline.models.extend([program, suppression])
    result.pipeline.names.extend(["detector", "suppression"])
    return result


def _suppression(version: int, decoder: Decoder, names: Sequence[str]) -> "Model":
    from coremltools.proto.FeatureTypes_pb2 import ArrayFeatureType
    from coremltools.proto.Model_pb2 import Model

    result = Model(specificationVersion=version)
    anchors, float32 = len(decoder.anchors), ArrayFeatureType.FLOAT32
    for name, columns in ((CONFIDENCE, len(names)), (COORDINATES, 4)):
        array = result.description.input.add(name=_RAW[name]).type.multiArrayType
        array.dataType = float32
        array.shape.extend([anchors, columns])
        array = result.description.output.add(name=name).type.multiArrayType
        array.dataType = float32
        rows, width = array.shapeRange.sizeRanges.add(), array.shapeRange.sizeRanges.add()
        rows.lowerBound, rows.upperBound = 0, decoder.max_detections
        width.lowerBound = width.upperBound = columns
    for name, meaning in (
        (IOU_THRESHOLD, "Boxes that overlap a better one of their class by more are left out."),
        (CONFIDENCE_THRESHOLD, "Boxes with a lower confidence are left out."),
    ):
        given = result.description.input.add(name=name, shortDescription=meaning).type
        given.doubleType.SetInParent()
        given.isOptional = True
    settings = result.nonMaximumSuppression
    settings.confidenceInputFeatureName = _RAW[CONFIDENCE]
    settings.coordinatesInputFeatureName = _RAW[COORDINATES]
    settings.confidenceOutputFeatureName = CONFIDENCE
    settings.coordinatesOutputFeatureName = COORDINATES
    settings.iouThresholdInputFeatureName = IOU_THRESHOLD
    settings.confidenceThresholdInputFeatureName = CONFIDENCE_THRESHOLD
    settings.iouThreshold = decoder.iou_threshold
    settings.confidenceThreshold = max(decoder.min_score, 0.0)
    settings.pickTop.perClass = True
    settings.stringClassLabels.vector.extend(names)
    return result


def _obstacle() -> str:
    return "" if sys.platform == "darwin" else "Core ML runs on macOS alone"


TARGET = Target(
    write=write,
    check=raw_ssd.check,
    obstacle=_obstacle,
    summary="a Core ML package for iPhones and Macs, which Apple's Vision takes as a detector",
    quantise={"float16": HALF, FLOAT32: EXACT},
    architectures=("ssd",),
    packages=("coremltools",),
    extra="coreml",
    unproved=f"all of it: {_obstacle()}" if _obstacle() else "",
)

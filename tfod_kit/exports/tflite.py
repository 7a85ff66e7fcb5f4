"""The TensorFlow Lite target: one file for phones and edge boards, with metadata."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tfod_kit import pipeline_config
from tfod_kit.core.labels import LabelMap
from tfod_kit.detectors.resize import bilinear, fitted_size
from tfod_kit.detectors.tflite import FILE
from tfod_kit.detectors.tflite_metadata import UNUSED, Metadata, embed
from tfod_kit.engine import runtime
from tfod_kit.engine.quantisation import Quantisation
from tfod_kit.engine.restore import matched
from tfod_kit.engine.upstream import DetectionModel, Module
from tfod_kit.errors import ConfigError, SetupError, first_line
from tfod_kit.exports.job import Job
from tfod_kit.exports.source import TrainedModel
from tfod_kit.exports.target import FLOAT32, Target
from tfod_kit.exports.tolerance import EXACT, HALF, QUANTISED
from tfod_kit.io import files
from tfod_kit.io.capture_output import capture_output
from tfod_kit.pipeline_config import PipelineConfig

if TYPE_CHECKING:
    from tfod_kit.detectors.base import Array

Channels: TypeAlias = tuple[float, ...]

_SIGNATURE = "serving_default"


def check(source: TrainedModel) -> None:
    """Checks whether the target can export the model.

    Raises:
      ConfigError: the model's input has no fixed size.
    """
    resizer = pipeline_config.model_of(source.config).image_resizer
    kind = resizer.WhichOneof("image_resizer_oneof")
    keep_ratio = resizer.keep_aspect_ratio_resizer
    has_size = kind == "fixed_shape_resizer" or (
        kind == "keep_aspect_ratio_resizer" and keep_ratio.pad_to_max_dimension
    )
    if not has_size or getattr(resizer, kind).convert_to_grayscale:
        raise ConfigError(
            "TensorFlow Lite needs a model whose input has one size, in colour.",
            where=f"{source.run}, image_resizer",
            expected="a fixed_shape_resizer, or a keep_aspect_ratio_resizer that pads",
            found=kind,
            fix="Train with such a resizer, or export to saved_model, onnx or openvino.",
        )


def _size(config: PipelineConfig) -> tuple[int, int]:
    """Height and width of the model's input, px."""
    resizer = pipeline_config.model_of(config).image_resizer
    if resizer.WhichOneof("image_resizer_oneof") == "fixed_shape_resizer":
        return resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width
    side = resizer.keep_aspect_ratio_resizer.max_dimension
    return side, side


def limits(config: PipelineConfig) -> tuple[int, int] | None:
    """The resizer's min_dimension and max_dimension, if it keeps the aspect ratio."""
    resizer = pipeline_config.model_of(config).image_resizer
    if resizer.WhichOneof("image_resizer_oneof") == "fixed_shape_resizer":
        return None
    keep_ratio = resizer.keep_aspect_ratio_resizer
    return keep_ratio.min_dimension, keep_ratio.max_dimension


def _with_fixed_size(config: PipelineConfig) -> PipelineConfig:
    """The config with the resizer that upstream's modules require; images come padded."""
    changed = pipeline_config.copy_of(config)
    fixed = pipeline_config.model_of(changed).image_resizer.fixed_shape_resizer
    fixed.height, fixed.width = _size(config)
    return changed


def write(job: Job) -> None:
    """Writes model.tflite, which includes postprocessing, labels and normalisation.

    Raises:
      CheckpointError: the checkpoint does not fit the model.
      SetupError: TensorFlow's converter fails.
    """
    mean, std = normalisation(job.source)
    learnt = job.quantise == "int8" and job.source.quantised
    folder = job.source.folder(
        "tflite_learnt" if learnt else "tflite",
        lambda folder: _save(job.source, folder, learnt=learnt),
    )
    model = _converted(job, str(folder), mean, std)
    description = (
        f"Detects {', '.join(job.source.label_map)}. Exported by tfod_kit ({job.quantise})."
    )
    labels = label_lines(job.source.label_map)
    metadata = Metadata(labels, mean, std, description, limits(job.source.config))
    files.write_bytes(job.folder / FILE, embed(model, metadata))


def _save(source: TrainedModel, folder: Path, *, learnt: bool) -> None:
    """Writes the SavedModel that is converted; `learnt` with the ranges of a quantised training."""
    tf = runtime.start()
    with capture_output():
        module = _quantised(source) if learnt else _module(source)
        spec = tf.TensorSpec(module.input_shape(), tf.float32, name="input")
        concrete = module.inference_fn.get_concrete_function(spec)
        # Not the module itself: Keras would also trace each of its layers, which takes long, and
        # which layers that are quantised do not support.
        saved = tf.Module()
        saved.kept = concrete.graph.variables
        tf.saved_model.save(saved, str(folder), signatures=concrete)


def _quantised(source: TrainedModel) -> Module:
    """Upstream's module around a model of its own, which has the ranges of the checkpoint."""
    model, _ = source.restored(_with_fixed_size(source.config))
    quantisation = Quantisation(model, kernels=False)
    quantisation.restore(source.prefix)
    return _module(source, model)


def _module(source: TrainedModel, model: DetectionModel | None = None) -> Module:
    """Upstream's module for the converter, with as many detections as the model itself outputs.

    Args:
      source: the trained model.
      model: another model with its weights, to be used in place of it.
    """
    from object_detection import export_tflite_graph_lib_tf2 as upstream

    config = _with_fixed_size(source.config)
    if pipeline_config.architecture(config) == "ssd":
        limit = config.model.ssd.post_processing.batch_non_max_suppression.max_total_detections
        # The last argument selects suppression class by class ("regular"), as upstream's own.
        return upstream.SSDModule(config, model or source.model, limit, True)
    tf = runtime.start()
    center = config.model.center_net
    limit = center.object_center_params.max_box_predictions
    module = upstream.CenterNetModule(config, limit, bool(center.keypoint_estimation_task))
    if model is not None:
        module._model = model
        return module
    with matched(module.get_model(), source.prefix):
        spec = tf.TensorSpec(module.input_shape(), tf.float32, name="input")
        module.inference_fn.get_concrete_function(spec)
    return module


def _converted(job: Job, folder: str, mean: Channels, std: Channels) -> bytes:
    """Converts a SavedModel of upstream's module to a .tflite file."""
    tf = runtime.start()
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[_SIGNATURE])
    converter.allow_custom_ops = True  # TFLite_Detection_PostProcess, which every runtime supports
    operations = tf.lite.OpsSet
    converter.target_spec.supported_ops = [operations.TFLITE_BUILTINS]
    if job.quantise != FLOAT32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if job.quantise == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if job.quantise == "int8":
        if not job.source.quantised:
            integers = operations.TFLITE_BUILTINS_INT8
            converter.target_spec.supported_ops = [integers, operations.TFLITE_BUILTINS]
            converter.representative_dataset = lambda: _calibration(job, mean, std)
        input_type, _, output_type = job.io.partition("/")
        converter.inference_input_type = tf.dtypes.as_dtype(input_type)
        converter.inference_output_type = tf.dtypes.as_dtype(output_type or FLOAT32)
    try:
        with capture_output():
            return bytes(converter.convert())
    except Exception as error:  # the converter raises its own exceptions, and plain Exception
        raise SetupError(
            "TensorFlow Lite's converter cannot convert this model.",
            where=job.source.run,
            found=first_line(error),
            fix="Try --quantise float32; or export to onnx or openvino.",
        ) from error


def _calibration(job: Job, mean: Channels, std: Channels) -> Iterator[list["Array"]]:
    """Images of the records, as the model's input."""
    import numpy as np

    height, width = _size(job.source.config)
    aspect_ratio = limits(job.source.config)
    for labelled in job.source.examples(job.calibration):
        image = np.asarray(labelled.image)
        rows, columns = height, width
        if aspect_ratio:
            rows, columns = fitted_size(image.shape[0], image.shape[1], *aspect_ratio)
        pixels = (bilinear(image, rows, columns) - np.array(mean)) / np.array(std)
        padded = np.pad(pixels, ((0, height - rows), (0, width - columns), (0, 0)))
        yield [padded[None].astype(np.float32)]


def _takes_pixels(source: TrainedModel) -> bool:
    """Whether upstream's module normalises its input."""
    return pipeline_config.architecture(source.config) == "center_net"


def normalisation(source: TrainedModel) -> tuple[Channels, Channels]:
    """Measures mean and std of each channel by preprocessing plain images.

    Raises:
      ConfigError: the preprocessing does more than subtract and divide.
    """
    import numpy as np

    if _takes_pixels(source):
        return (0.0,) * 3, (1.0,) * 3
    tf = runtime.start()
    height, width = _size(source.config)

    def preprocessed(*colour: float) -> Any:
        plain = tf.broadcast_to(tf.constant(colour, tf.float32), [1, height, width, 3])
        return source.model.preprocess(plain)[0].numpy()[0, 0, 0].astype(np.float64)

    black, white, mixed = (
        preprocessed(0, 0, 0),
        preprocessed(255, 255, 255),
        preprocessed(20, 100, 200),
    )
    std = 255 / (white - black)
    mean = -black * std
    if not np.allclose(mixed, (np.array([20, 100, 200]) - mean) / std, atol=1e-4):
        raise ConfigError(
            "The model's preprocessing cannot be expressed as a mean and a standard deviation.",
            where=source.run,
            fix="Export to saved_model, onnx or openvino, which include the preprocessing.",
        )
    return tuple(mean.round(6).tolist()), tuple(std.round(6).tolist())


def label_lines(label_map: LabelMap) -> tuple[str, ...]:
    """One line for each id, from 1 on."""
    names = label_map.names
    return tuple(names.get(class_id, UNUSED) for class_id in range(1, label_map.num_classes + 1))


def converted_with_metadata(job: Job, folder: Path) -> tuple[bytes, Metadata]:
    """Converts a SavedModel whose input is that of upstream's module, for another target.

    Args:
      job: how to convert it.
      folder: the SavedModel.

    Raises:
      SetupError: TensorFlow's converter fails.
    """
    mean, std = normalisation(job.source)
    description = f"Raw boxes and scores. Exported by tfod_kit ({job.quantise})."
    labels = label_lines(job.source.label_map)
    metadata = Metadata(labels, mean, std, description, limits(job.source.config))
    return _converted(job, str(folder), mean, std), metadata


def size(config: PipelineConfig) -> tuple[int, int]:
    """Height and width of the model's input, px."""
    return _size(config)


TARGET = Target(
    write=write,
    check=check,
    summary="TensorFlow Lite, for phones and edge boards",
    quantise={FLOAT32: EXACT, "float16": HALF, "dynamic": QUANTISED, "int8": QUANTISED},
    learnt_int8=True,
    io=(FLOAT32, "uint8", "int8", "uint8/uint8", "int8/int8"),
    architectures=("ssd", "center_net"),
    packages=("ai_edge_litert",),
)

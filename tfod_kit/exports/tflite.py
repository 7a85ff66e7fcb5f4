"""The TensorFlow Lite target: one file for phones and edge boards, that says what it needs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.core.labels import LabelMap
from tfod_kit.detectors.resize import bilinear, fitted_size
from tfod_kit.detectors.tflite import FILE
from tfod_kit.detectors.tflite_metadata import UNUSED, Metadata, embed
from tfod_kit.engine import runtime
from tfod_kit.engine.restore import matched
from tfod_kit.errors import ConfigError, SetupError, first_line
from tfod_kit.exports.job import Job, Source
from tfod_kit.io import files
from tfod_kit.io.capture_output import capture_output

_SIGNATURE = "serving_default"


def check(source: Source) -> None:
    """Finds what the target cannot do, before anything slow begins.

    Raises:
      ConfigError: the model's input has no fixed size.
    """
    resizer = pipeline_config.model_of(source.config).image_resizer
    kind = resizer.WhichOneof("image_resizer_oneof")
    keeps = resizer.keep_aspect_ratio_resizer
    sized = kind == "fixed_shape_resizer" or (
        kind == "keep_aspect_ratio_resizer" and keeps.pad_to_max_dimension
    )
    if not sized or getattr(resizer, kind).convert_to_grayscale:
        raise ConfigError(
            "TensorFlow Lite needs a model with an input of one size, in colour.",
            where=f"{source.run}, image_resizer",
            expected="a fixed_shape_resizer, or a keep_aspect_ratio_resizer that pads",
            found=kind,
            fix="Train with such a resizer, or export to saved_model, onnx or openvino.",
        )


def _size(config: Any) -> tuple[int, int]:
    """Height and width of the model's input, px."""
    resizer = pipeline_config.model_of(config).image_resizer
    if resizer.WhichOneof("image_resizer_oneof") == "fixed_shape_resizer":
        return resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width
    side = resizer.keep_aspect_ratio_resizer.max_dimension
    return side, side


def _keeps_shape(config: Any) -> tuple[int, int] | None:
    """The resizer's min_dimension and max_dimension, where it keeps a picture's shape."""
    resizer = pipeline_config.model_of(config).image_resizer
    if resizer.WhichOneof("image_resizer_oneof") == "fixed_shape_resizer":
        return None
    keeps = resizer.keep_aspect_ratio_resizer
    return keeps.min_dimension, keeps.max_dimension


def _of_one_size(config: Any) -> Any:
    """The config with the resizer that upstream's modules ask for; pictures come padded."""
    own = pipeline_config.copy_of(config)
    fixed = pipeline_config.model_of(own).image_resizer.fixed_shape_resizer
    fixed.height, fixed.width = _size(config)
    return own


def write(job: Job) -> None:
    """Writes model.tflite with its postprocessing, its labels and its normalisation inside.

    Raises:
      CheckpointError: the checkpoint is not this model's.
      SetupError: TensorFlow's converter fails.
    """
    mean, std = _normalisation(job.source)
    folder = job.source.folder("tflite", lambda folder: _save(job.source, folder))
    model = _converted(job, str(folder), mean, std)
    told = f"Detects {', '.join(job.source.label_map)}. Made by tfod_kit ({job.quantise})."
    labels = _label_lines(job.source.label_map)
    metadata = Metadata(labels, mean, std, told, _keeps_shape(job.source.config))
    files.write_bytes(job.folder / FILE, embed(model, metadata))


def _save(source: Source, folder: Path) -> None:
    """Writes the SavedModel that the converter starts from."""
    tf = runtime.start()
    with capture_output():
        module = _module(source)
        spec = tf.TensorSpec(module.input_shape(), tf.float32, name="input")
        concrete = module.inference_fn.get_concrete_function(spec)
        tf.saved_model.save(module, str(folder), signatures=concrete)


def _module(source: Source) -> Any:
    """Upstream's module for the converter, with as many detections as the model itself gives."""
    from object_detection import export_tflite_graph_lib_tf2 as upstream

    config = _of_one_size(source.config)
    if pipeline_config.architecture(config) == "ssd":
        most = config.model.ssd.post_processing.batch_non_max_suppression.max_total_detections
        # Upstream's own suppression works class by class, which here is called regular.
        return upstream.SSDModule(config, source.model, most, True)
    tf = runtime.start()
    center = config.model.center_net
    most = center.object_center_params.max_box_predictions
    module = upstream.CenterNetModule(config, most, bool(center.keypoint_estimation_task))
    with matched(module.get_model(), source.prefix):
        spec = tf.TensorSpec(module.input_shape(), tf.float32, name="input")
        module.inference_fn.get_concrete_function(spec)
    return module


def _converted(job: Job, folder: str, mean: Any, std: Any) -> bytes:
    """The .tflite file of a SavedModel of upstream's module."""
    tf = runtime.start()
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[_SIGNATURE])
    converter.allow_custom_ops = True  # TFLite_Detection_PostProcess, which every runtime has
    operations = tf.lite.OpsSet
    converter.target_spec.supported_ops = [operations.TFLITE_BUILTINS]
    if job.quantise != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if job.quantise == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if job.quantise == "int8":
        whole = operations.TFLITE_BUILTINS_INT8
        converter.target_spec.supported_ops = [whole, operations.TFLITE_BUILTINS]
        converter.representative_dataset = lambda: _calibration(job, mean, std)
        taken, _, given = job.io.partition("/")
        converter.inference_input_type = tf.dtypes.as_dtype(taken)
        converter.inference_output_type = tf.dtypes.as_dtype(given or "float32")
    try:
        with capture_output():
            return bytes(converter.convert())
    except Exception as error:  # the converter raises its own kinds, and plain Exception
        raise SetupError(
            "TensorFlow Lite's converter cannot take this model.",
            where=job.source.run,
            found=first_line(error),
            fix="Try --quantise float32; or export to onnx or openvino.",
        ) from error


def _calibration(job: Job, mean: Any, std: Any) -> Iterator[list[Any]]:
    """Pictures of the records as the model's input."""
    import numpy as np

    height, width = _size(job.source.config)
    keeps = _keeps_shape(job.source.config)
    for labelled in job.source.examples(job.calibration):
        image = np.asarray(labelled.image)
        rows, columns = fitted_size(image, *keeps) if keeps else (height, width)
        pixels = (bilinear(image, rows, columns) - np.array(mean)) / np.array(std)
        padded = np.pad(pixels, ((0, height - rows), (0, width - columns), (0, 0)))
        yield [padded[None].astype(np.float32)]


def _takes_pixels(source: Source) -> bool:
    """Whether upstream's module normalises by itself."""
    return pipeline_config.architecture(source.config) == "center_net"


def _normalisation(source: Source) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std of each channel, found by giving the model's preprocessing plain pictures.

    Raises:
      ConfigError: the preprocessing does more than that.
    """
    import numpy as np

    if _takes_pixels(source):
        return (0.0,) * 3, (1.0,) * 3
    tf = runtime.start()
    height, width = _size(source.config)

    def seen(*colour: float) -> Any:
        plain = tf.broadcast_to(tf.constant(colour, tf.float32), [1, height, width, 3])
        return source.model.preprocess(plain)[0].numpy()[0, 0, 0].astype(np.float64)

    black, white, mixed = seen(0, 0, 0), seen(255, 255, 255), seen(20, 100, 200)
    std = 255 / (white - black)
    mean = -black * std
    if not np.allclose(mixed, (np.array([20, 100, 200]) - mean) / std, atol=1e-4):
        raise ConfigError(
            "The model's preprocessing cannot be described as a mean and a deviation.",
            where=source.run,
            fix="Export to saved_model, onnx or openvino, which hold the preprocessing inside.",
        )
    return tuple(mean.round(6).tolist()), tuple(std.round(6).tolist())


def _label_lines(label_map: LabelMap) -> tuple[str, ...]:
    """A line for each id from 1 on."""
    names = label_map.names
    return tuple(names.get(number, UNUSED) for number in range(1, label_map.num_classes + 1))

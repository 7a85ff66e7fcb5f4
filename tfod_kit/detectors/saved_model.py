"""Runs SavedModels: those of tfod_kit, of upstream's exporter and of the zoo."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tfod_kit.core.labels import LabelMap
from tfod_kit.detectors import classes, input_size
from tfod_kit.detectors.base import BatchDetector
from tfod_kit.detectors.objects import OUTPUTS
from tfod_kit.engine import runtime
from tfod_kit.engine.upstream import Tensor
from tfod_kit.errors import CheckpointError, UsageError, first_line
from tfod_kit.io.capture_output import capture_output
from tfod_kit.records import feature_keys

if TYPE_CHECKING:
    from tfod_kit.detectors.base import Array

Feed: TypeAlias = "Callable[[Array], Tensor]"

EXPECTED = "a folder with a SavedModel"

FOLDER = "saved_model"
_SIGNATURE = "serving_default"


def find(path: Path) -> Path | None:
    """The folder that contains saved_model.pb; the highest of TensorFlow Serving's versions."""
    versions = sorted(path.glob("[0-9]*"), key=lambda folder: (len(folder.name), folder.name))
    for folder in (path, path / FOLDER, *reversed(versions)):
        if (folder / "saved_model.pb").is_file():
            return folder
    return None


def load(
    location: Path, *, label_map: Path | None = None, checkpoint: Path | str | None = None
) -> "SavedModelDetector":
    """Loads the model. Its label map is beside the folder.

    Raises:
      CheckpointError: it is damaged, or has no serving signature.
      UsageError: its input is not an image.
    """
    return SavedModelDetector(location, classes.of_folder(label_map, location.parent))


class SavedModelDetector(BatchDetector):
    """Runs the serving signature of a SavedModel.

    The model resizes by itself, so a batch holds images of one size. Upstream's uint8 exports take
    one image at a time.
    """

    is_shared = True

    def __init__(self, folder: Path, label_map: LabelMap | None) -> None:
        self.source = folder
        self.label_map = label_map
        self._input_size = input_size.of_folder(folder.parent)
        tf = runtime.start()
        try:
            model = tf.saved_model.load(str(folder))
            signature = model.signatures[_SIGNATURE]
        except (OSError, KeyError, ValueError) as error:
            raise CheckpointError(
                "The SavedModel cannot be loaded.",
                where=folder,
                expected=f"a SavedModel with a {_SIGNATURE} signature",
                found=first_line(error),
                fix="Export it again (`tfod export`).",
            ) from error
        ((_, arguments),) = [signature.structured_input_signature]
        ((self._input, spec),) = arguments.items()
        self.largest_batch = spec.shape[0]
        feed = _feeds(tf).get((spec.dtype, spec.shape.rank))
        if spec.dtype == tf.string and _parses_records(signature):
            feed = _as_records
        if feed is None:
            raise UsageError(
                "The input of this SavedModel is not an image.",
                where=folder,
                expected="an export with input type image_tensor, float_image_tensor, "
                "encoded_image_string_tensor or tf_example",
                found=f"{self._input}: {spec.dtype.name}{spec.shape}",
                fix="Export it with `tfod export --input_type image_tensor`.",
            )
        self._feed = feed
        self._call = _frozen(model, signature)

    def _run(self, pixels: "Array", true_shapes: "Array") -> Mapping[str, "Array"]:
        outputs = self._call(**{self._input: self._feed(pixels)})
        return {name: value.numpy() for name, value in outputs.items() if name in OUTPUTS}


def _frozen(model: Any, signature: Any) -> Callable[..., Mapping[str, Tensor]]:
    """Turns the signature's variables into constants, so that TensorFlow optimises them with the
    graph: a third less time per image.

    Where that is impossible (tables, TF1 models), the signature is used unchanged. The model's
    variables are freed as soon as they are not needed.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    try:
        with capture_output():  # it logs the number of GPUs at a level that cannot be turned off
            frozen = convert_variables_to_constants_v2(signature)
    except (ValueError, KeyError, NotImplementedError):
        # The signature refers to its variables weakly, so the model must stay alive.
        return lambda _kept=model, **inputs: signature(**inputs)
    names = sorted(signature.structured_outputs)

    def call(**inputs: Any) -> Mapping[str, Tensor]:
        (value,) = inputs.values()
        return dict(zip(names, frozen(value), strict=True))

    return call


def _feeds(tf: Any) -> dict[tuple[Any, int], Feed]:
    """(dtype, rank) of an export's input -> a function that converts a uint8 batch to it."""
    return {
        (tf.uint8, 4): tf.constant,
        (tf.float32, 4): lambda images: tf.cast(images, tf.float32),
        (tf.string, 1): lambda images: tf.stack(
            [tf.io.encode_png(image, compression=0) for image in images]
        ),
    }


def _parses_records(signature: Any) -> bool:
    """Whether string inputs are serialised tf.train.Examples rather than encoded images.

    Upstream gives both inputs the same name, so only the graph shows the difference.
    """
    graph = signature.graph.as_graph_def()
    parts = [graph.node, *(function.node_def for function in graph.library.function)]
    return any(
        node.op.startswith(("ParseExample", "ParseSingle")) for part in parts for node in part
    )


def _as_records(images: "Array") -> Tensor:
    """Encodes a uint8 batch as serialised tf.train.Examples, losslessly."""
    import tensorflow as tf

    records = []
    for image in images:
        record = tf.train.Example()
        encoded = tf.io.encode_png(image, compression=0).numpy()
        for key, value in ((feature_keys.ENCODED, encoded), (feature_keys.FORMAT, b"png")):
            record.features.feature[key].bytes_list.value.append(value)
        records.append(record.SerializeToString())
    return tf.constant(records)

"""An exported SavedModel: tfod_kit's, upstream's exporter's, or the zoo's."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfod_kit.detectors import classes
from tfod_kit.detectors.base import BatchDetector
from tfod_kit.detectors.objects import OUTPUTS
from tfod_kit.engine import runtime
from tfod_kit.errors import CheckpointError, UsageError, first_line
from tfod_kit.io.capture_output import capture_output
from tfod_kit.records import feature_keys

EXPECTED = "a folder with a SavedModel"

FOLDER = "saved_model"
_SIGNATURE = "serving_default"


def find(path: Path) -> Path | None:
    """The folder that holds saved_model.pb; of TensorFlow Serving's versions the highest."""
    versions = sorted(path.glob("[0-9]*"), key=lambda folder: (len(folder.name), folder.name))
    for folder in (path, path / FOLDER, *reversed(versions)):
        if (folder / "saved_model.pb").is_file():
            return folder
    return None


def load(
    found: Path, *, label_map: Path | None = None, checkpoint: Path | str | None = None
) -> "SavedModelDetector":
    """Loads it. Its label map lies beside the folder.

    Raises:
      CheckpointError: it is damaged or no SavedModel of TensorFlow 2.
      UsageError: it takes no images.
    """
    return SavedModelDetector(found, classes.of_folder(label_map, found.parent))


class SavedModelDetector(BatchDetector):
    """Runs the SavedModel's serving signature. It resizes by itself, so only images of one size
    go through together; upstream's uint8 exports take them one by one."""

    def __init__(self, folder: Path, label_map: Any) -> None:
        self.source = folder
        self.label_map = label_map
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
                "This SavedModel takes no images.",
                where=folder,
                expected="an export with input type image_tensor, float_image_tensor, "
                "encoded_image_string_tensor or tf_example",
                found=f"{self._input}: {spec.dtype.name}{spec.shape}",
                fix="Export it with `tfod export --input_type image_tensor`.",
            )
        self._feed = feed
        self._call = _frozen(model, signature)

    def _run(self, pixels: Any, true_shapes: Any) -> Mapping[str, Any]:
        found = self._call(**{self._input: self._feed(pixels)})
        return {name: value.numpy() for name, value in found.items() if name in OUTPUTS}


def _frozen(model: Any, signature: Any) -> Callable[..., Mapping[str, Any]]:
    """The signature with its variables as constants, which TensorFlow then optimises with the
    graph: a third less time a picture. As it is where that cannot be done (tables, TF1 models).

    The model's variables are kept no longer than they are needed."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    try:
        with capture_output():  # it tells how many GPUs it found, at a level that nothing turns off
            made = convert_variables_to_constants_v2(signature)
    except (ValueError, KeyError, NotImplementedError):
        # The signature holds its variables weakly: the model has to stay.
        return lambda _kept=model, **inputs: signature(**inputs)
    names = sorted(signature.structured_outputs)

    def call(**inputs: Any) -> Mapping[str, Any]:
        (value,) = inputs.values()
        return dict(zip(names, made(value), strict=True))

    return call


def _feeds(tf: Any) -> dict[Any, Callable[[Any], Any]]:
    """(dtype, rank) of an export's input -> how a uint8 batch is given to it."""
    return {
        (tf.uint8, 4): tf.constant,
        (tf.float32, 4): lambda images: tf.cast(images, tf.float32),
        (tf.string, 1): lambda images: tf.stack(
            [tf.io.encode_png(image, compression=0) for image in images]
        ),
    }


def _parses_records(signature: Any) -> bool:
    """Whether strings that go in are serialised tf.train.Examples, and not pictures.

    Upstream calls the input the same in both, so that only the graph tells.
    """
    graph = signature.graph.as_graph_def()
    parts = [graph.node, *(function.node_def for function in graph.library.function)]
    return any(
        node.op.startswith(("ParseExample", "ParseSingle")) for part in parts for node in part
    )


def _as_records(images: Any) -> Any:
    """A uint8 batch as serialised tf.train.Examples, with pictures that lose nothing."""
    import tensorflow as tf

    records = []
    for image in images:
        record = tf.train.Example()
        encoded = tf.io.encode_png(image, compression=0).numpy()
        for key, value in ((feature_keys.ENCODED, encoded), (feature_keys.FORMAT, b"png")):
            record.features.feature[key].bytes_list.value.append(value)
        records.append(record.SerializeToString())
    return tf.constant(records)

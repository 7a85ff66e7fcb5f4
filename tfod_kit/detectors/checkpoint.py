"""A run folder's model, with the weights of one of its checkpoints or of a training that runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.detectors import classes
from tfod_kit.detectors.base import BatchDetector, Prepared
from tfod_kit.detectors.objects import OUTPUTS
from tfod_kit.engine import model as models
from tfod_kit.engine import runtime
from tfod_kit.engine.restore import matched
from tfod_kit.errors import CheckpointError
from tfod_kit.runs import checkpoint_index, checkpoints

EXPECTED = f"a folder with {pipeline_config.FILE_NAME} and checkpoints"

_STEP = "step/.ATTRIBUTES/VARIABLE_VALUE"


def find(path: Path) -> Path | None:
    """A run folder, the zoo's checkpoint/ beside its pipeline.config, or a prefix in either."""
    known = path.is_dir() or path.with_name(path.name + ".index").is_file()
    return path if known and _config_of(path) is not None else None


def load(
    found: Path, *, label_map: Path | None = None, checkpoint: Path | str | None = None
) -> "CheckpointDetector":
    """Builds the model and restores it.

    Raises:
      CheckpointError: the checkpoint is absent, TensorFlow 1's or another model's.
      ConfigError: the config is none, or of a model that TensorFlow 2 has not.
    """
    config = _config_of(found) or found / pipeline_config.FILE_NAME
    prefix = checkpoints.choose(found, checkpoint)
    if checkpoint_index.OBJECT_GRAPH not in checkpoint_index.read(prefix):
        raise CheckpointError(
            "This is a checkpoint of TensorFlow 1.",
            where=prefix,
            expected="one that model_main_tf2 or `tfod train` wrote",
            found="variables stored by name",
            fix="Its exported SavedModel, if there is one, runs as it is: name that. Otherwise "
            "train a model of `tfod models` anew; records and label map stay as they are.",
        )
    return CheckpointDetector(config, prefix, label_map)


def _config_of(path: Path) -> Path | None:
    """The pipeline.config of a folder or a prefix: in it or, of a checkpoint, a folder above."""
    if not path.is_dir():
        folders = [path.parent, path.parent.parent]
    else:
        folders = [path, path.parent] if checkpoints.latest(path) is not None else [path]
    names = (folder / pipeline_config.FILE_NAME for folder in folders)
    return next((name for name in names if name.is_file()), None)


class LiveDetector(BatchDetector):
    """A model in training, or one just built: detects with the weights it has at the moment.

    Images are resized one by one, as the config's image_resizer has it, and then batched: pictures
    of mixed sizes share a batch, and one graph of one shape serves them all. The resizing and the
    model are upstream's own operations, so the detections are its own too.
    """

    def __init__(
        self, model: Any, config: Any, folder: Path, label_map: Path | None = None
    ) -> None:
        self.label_map = classes.of_config(label_map, config, folder)
        self.source = folder
        self.largest_batch = 1 if _wants_known_batch(model) else None
        self._resize, self._detect = _graphs(model, self.largest_batch)

    def prepare(self, image: Any) -> Prepared:
        pixels, shape = self._resize(image)
        rows, columns, channels = shape.numpy().tolist()
        return Prepared(pixels.numpy(), (rows, columns, channels), image.shape[:2])

    def _run(self, pixels: Any, true_shapes: Any) -> Mapping[str, Any]:
        found = self._detect(pixels, true_shapes)
        return {name: value.numpy() for name, value in found.items()}


class CheckpointDetector(LiveDetector):
    """A run folder's model with the weights of one of its checkpoints."""

    def __init__(self, config_path: Path, prefix: Path, label_map: Path | None) -> None:
        config, _ = pipeline_config.load_foreign(config_path)
        self._model = models.build(config, is_training=False, where=config_path)
        with matched(self._model, prefix):
            super().__init__(self._model, config, config_path.parent, label_map)
        self._is_from(prefix)

    def take(self, prefix: Path) -> None:
        """Takes the weights of another checkpoint of the run; the graph, which costs, stays.

        Raises:
          CheckpointError: the checkpoint is absent, damaged or another model's.
        """
        with matched(self._model, checkpoints.resolve(prefix)):
            pass
        self._is_from(prefix)

    def _is_from(self, prefix: Path) -> None:
        self.source = prefix
        reader = runtime.start().train.load_checkpoint(str(prefix))
        self.step = int(reader.get_tensor(_STEP)) if reader.has_tensor(_STEP) else None


def _wants_known_batch(model: Any) -> bool:
    """Whether upstream can only detect with a batch size that the graph states.

    CenterNet's keypoints of one class among several (_get_instance_indices) are found so.
    """
    tasks = getattr(model, "_kp_params_dict", None) or {}
    return len(tasks) > 1 or (len(tasks) == 1 and model.num_classes > 1)


def _graphs(model: Any, batch: int | None) -> tuple[Any, Any]:
    """Upstream's detection in two parts: the resizing of one image, and the rest for a batch.

    Building them makes the model's variables, so a restore that waits for them takes place.

    Args:
      model: upstream's.
      batch: its size, where it is always the same.

    Returns:
      uint8 [height, width, 3] -> float32 [H, W, C] and int32 [3], its shape without padding; and
      float32 [batch, H, W, C] and int32 [batch, 3] -> the outputs that are read.
    """
    tf = runtime.start()
    from object_detection import exporter_lib_v2

    # Upstream's train step turns both on while it is traced, and leaves them so.
    model._is_training = False
    tf.keras.backend.set_learning_phase(False)
    module = exporter_lib_v2.DetectionInferenceModule(model)

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)])
    def resize(image: Any) -> Any:
        pixels = tf.cast(image, tf.float32)[tf.newaxis]
        images, shapes = runtime.as_written(model.preprocess)(pixels)
        return images[0], shapes[0]

    resized = resize.get_concrete_function()

    @tf.function(
        input_signature=[
            tf.TensorSpec([batch, *resized.structured_outputs[0].shape], tf.float32),
            tf.TensorSpec([batch, 3], tf.int32),
        ]
    )
    def detect(images: Any, true_shapes: Any) -> Any:
        found = runtime.as_written(module._run_inference_on_images)(images, true_shapes)
        return {name: value for name, value in found.items() if name in OUTPUTS}

    return resized, detect.get_concrete_function()

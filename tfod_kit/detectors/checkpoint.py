"""The model of a run folder, with the weights of a checkpoint or of a training in progress."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit import pipeline_config
from tfod_kit.detectors import classes, input_size
from tfod_kit.detectors.base import BatchDetector, Prepared
from tfod_kit.detectors.objects import OUTPUTS
from tfod_kit.engine import model as models
from tfod_kit.engine import runtime
from tfod_kit.engine.restore import matched
from tfod_kit.engine.upstream import DetectionModel, Tensor
from tfod_kit.errors import CheckpointError
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.runs import checkpoint_index, checkpoints

if TYPE_CHECKING:
    from tfod_kit.detectors.base import Array, Image

EXPECTED = f"a folder with {pipeline_config.FILE_NAME} and checkpoints"

_STEP = "step/.ATTRIBUTES/VARIABLE_VALUE"


def find(path: Path) -> Path | None:
    """A run folder, the zoo's checkpoint/ beside its pipeline.config, or a prefix in either."""
    exists = path.is_dir() or path.with_name(path.name + ".index").is_file()
    return path if exists and _config_of(path) is not None else None


def load(
    location: Path, *, label_map: Path | None = None, checkpoint: Path | str | None = None
) -> "CheckpointDetector":
    """Builds the model and restores it.

    Raises:
      CheckpointError: the checkpoint is missing, was written by TensorFlow 1, or does not fit.
      ConfigError: the config is invalid, or TensorFlow 2 has no such model.
    """
    config = _config_of(location) or location / pipeline_config.FILE_NAME
    return checkpoints.read_steadily(
        location, checkpoint, lambda prefix: _restored(config, prefix, label_map)
    )


def _restored(config: Path, prefix: Path, label_map: Path | None) -> "CheckpointDetector":
    if checkpoint_index.OBJECT_GRAPH not in checkpoint_index.read(prefix):
        raise CheckpointError(
            "This is a checkpoint of TensorFlow 1.",
            where=prefix,
            expected="a checkpoint that model_main_tf2 or `tfod train` wrote",
            found="variables stored by name",
            fix="Name its exported SavedModel, if there is one: it runs unchanged. Otherwise train "
            "a model of `tfod models`; records and label map can be reused.",
        )
    return CheckpointDetector(config, prefix, label_map)


def _config_of(path: Path) -> Path | None:
    """The pipeline.config of a folder or prefix: in it or, for a checkpoint, one folder above."""
    if not path.is_dir():
        folders = [path.parent, path.parent.parent]
    else:
        folders = [path, path.parent] if checkpoints.latest(path) is not None else [path]
    names = (folder / pipeline_config.FILE_NAME for folder in folders)
    return next((name for name in names if name.is_file()), None)


class LiveDetector(BatchDetector):
    """A model in training, or one just built: detects with its current weights.

    Images are resized one by one with the config's image_resizer and then batched, so that images
    of mixed sizes share a batch and one graph of one shape serves all of them. Resizing and model
    are upstream's own operations, so the detections equal upstream's.

    Args:
      model: upstream's DetectionModel.
      config: its pipeline config.
      folder: the run folder.
      label_map: the user's label map; by default the config's.
    """

    def __init__(
        self,
        model: DetectionModel,
        config: PipelineConfig,
        folder: Path,
        label_map: Path | None = None,
    ) -> None:
        self.label_map = classes.of_config(label_map, config, folder)
        self.source = folder
        self._input_size = input_size.of_config(config)
        self.largest_batch = 1 if _needs_static_batch(model) else None
        self._resize, self._detect = _graphs(model, self.largest_batch)

    def prepare(self, image: "Image") -> Prepared:
        pixels, shape = self._resize(image)
        rows, columns, channels = shape.numpy().tolist()
        height, width = image.shape[:2]
        return Prepared(pixels.numpy(), (rows, columns, channels), (height, width))

    def _run(self, pixels: "Array", true_shapes: "Array") -> Mapping[str, "Array"]:
        outputs = self._detect(pixels, true_shapes)
        return {name: value.numpy() for name, value in outputs.items()}


class CheckpointDetector(LiveDetector):
    """The model of a run folder with the weights of one of its checkpoints."""

    def __init__(self, config_path: Path, prefix: Path, label_map: Path | None) -> None:
        config, _ = pipeline_config.load_foreign(config_path)
        self._model = models.build(config, is_training=False, where=config_path)
        with matched(self._model, prefix):
            super().__init__(self._model, config, config_path.parent, label_map)
        self._set_source(prefix)

    def restore(self, prefix: Path) -> None:
        """Restores another checkpoint of the run; the graph, which is slow to build, is kept.

        Raises:
          CheckpointError: the checkpoint is missing, damaged or does not fit the model.
        """
        with matched(self._model, checkpoints.resolve(prefix)):
            pass
        self._set_source(prefix)

    def _set_source(self, prefix: Path) -> None:
        self.source = prefix
        reader = runtime.start().train.load_checkpoint(str(prefix))
        self.step = int(reader.get_tensor(_STEP)) if reader.has_tensor(_STEP) else None


def _needs_static_batch(model: DetectionModel) -> bool:
    """Whether upstream can only detect if the graph states the batch size.

    True for CenterNet with keypoints of one class among several (_get_instance_indices).
    """
    tasks = getattr(model, "_kp_params_dict", None) or {}
    return len(tasks) > 1 or (len(tasks) == 1 and model.num_classes > 1)


def _graphs(
    model: DetectionModel, batch_size: int | None
) -> tuple[Callable[..., tuple[Tensor, Tensor]], Callable[..., dict[str, Tensor]]]:
    """Upstream's detection in two parts: resizing one image, and the rest for a batch.

    Building them creates the model's variables, so a deferred restore takes place.

    Args:
      model: upstream's DetectionModel.
      batch_size: the batch size, if it is always the same.

    Returns:
      A function uint8 [height, width, 3] -> float32 [H, W, C] and int32 [3], its shape without
      padding; and a function float32 [batch, H, W, C], int32 [batch, 3] -> OUTPUTS.
    """
    tf = runtime.start()
    from object_detection import exporter_lib_v2

    # Upstream's train step turns both on while it is traced, and leaves them on.
    model._is_training = False
    tf.keras.backend.set_learning_phase(False)
    module = exporter_lib_v2.DetectionInferenceModule(model)

    def resize(image: Tensor) -> tuple[Tensor, Tensor]:
        pixels = tf.cast(image, tf.float32)[tf.newaxis]
        images, shapes = runtime.without_autograph(model.preprocess)(pixels)
        return images[0], shapes[0]

    image_spec = tf.TensorSpec([None, None, 3], tf.uint8)
    resized = tf.function(resize, input_signature=[image_spec]).get_concrete_function()

    def detect(images: Tensor, true_shapes: Tensor) -> dict[str, Tensor]:
        outputs = runtime.without_autograph(module._run_inference_on_images)(images, true_shapes)
        return {name: value for name, value in outputs.items() if name in OUTPUTS}

    specs = [
        tf.TensorSpec([batch_size, *resized.structured_outputs[0].shape], tf.float32),
        tf.TensorSpec([batch_size, 3], tf.int32),
    ]
    return resized, tf.function(detect, input_signature=specs).get_concrete_function()

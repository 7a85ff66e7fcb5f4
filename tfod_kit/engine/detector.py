"""One way to detect, whatever the model lies in: `load(path).detect(images)`.

detector = load(Path("work/ssd_mobilenet/export"))
for objects in detector.detect([pixels]):
    ...
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from tfod_kit import checkpoints, labels, pipeline_config
from tfod_kit.annotations import ObjectAnnotation
from tfod_kit.boxes import Box
from tfod_kit.engine import model as models
from tfod_kit.engine import runtime
from tfod_kit.errors import CheckpointError, UsageError
from tfod_kit.labels import LabelMap

CONFIG = pipeline_config.FILE_NAME
LABEL_MAP = labels.FILE_NAME
SAVED_MODEL = "saved_model"


class Detector(Protocol):
    """What every loaded model can do.

    Attributes:
      source: what was loaded: a checkpoint prefix or a SavedModel folder.
      step: the training step the weights are from; None when that is not known.
      label_map: the classes; None when no label map came with the model.
    """

    source: Path
    step: int | None
    label_map: LabelMap | None

    def detect(self, images: Sequence[Any]) -> list[tuple[ObjectAnnotation, ...]]:
        """The objects in each image, highest score first, every score above the model's own limit.

        Args:
          images: uint8 arrays [height, width, 3], RGB, of any sizes. Those of one size that
            follow each other are detected together.
        """
        ...


def load(path: Path, *, label_map: Path | None = None, checkpoint: Path | None = None) -> Detector:
    """Loads a run folder, a checkpoint of one, or an exported model.

    Args:
      path: a folder with pipeline.config and checkpoints, or one that `tfod export` wrote, or a
        SavedModel folder.
      label_map: the names of the classes, where none lies beside the model.
      checkpoint: a prefix to take instead of the folder's newest.

    Raises:
      UsageError: the path holds no model.
      CheckpointError: the checkpoint is absent or another model's.
    """
    saved = _saved_model_in(path)
    if saved is not None:
        return _SavedModelDetector(saved, _label_map(label_map, saved.parent / LABEL_MAP))
    if (path / CONFIG).is_file():
        return _CheckpointDetector(
            path / CONFIG, checkpoints.resolve(checkpoint or path), label_map
        )
    raise UsageError(
        "There is no model here.",
        where=path,
        expected=f"a folder with {CONFIG} and checkpoints, or with a SavedModel",
        found=", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "an empty folder"
        if path.is_dir()
        else "no such folder",
        fix="Name the folder that `tfod train` or `tfod export` wrote.",
    )


def as_objects(
    outputs: Mapping[str, Any], label_map: LabelMap | None
) -> tuple[ObjectAnnotation, ...]:
    """The detections of one image from the model's output arrays.

    Args:
      outputs: detection_boxes [N, 4] in [0, 1] as (ymin, xmin, ymax, xmax), detection_scores [N],
        detection_classes [N] from 1, num_detections: a scalar.
      label_map: gives the names; a class it lacks, or any without it, is named by its id.
    """
    names = label_map.names if label_map is not None else {}
    count = int(outputs["num_detections"])
    rows = zip(
        outputs["detection_boxes"][:count].tolist(),
        outputs["detection_classes"][:count].tolist(),
        outputs["detection_scores"][:count].tolist(),
        strict=True,
    )
    return tuple(
        ObjectAnnotation(names.get(int(number), str(int(number))), Box(*box), score=score)
        for box, number, score in rows
        if score > 0  # rows without a score only pad the output
    )


class _BatchDetector:
    """What both kinds share: runs of images of one size go through the model together."""

    source: Path
    step: int | None
    label_map: LabelMap | None
    _largest_batch: int | None
    _call: Callable[[Any], Mapping[str, Any]]

    def detect(self, images: Sequence[Any]) -> list[tuple[ObjectAnnotation, ...]]:
        import numpy as np

        found = []
        for batch in self._batches(images):
            outputs = self._call(np.stack(batch))
            arrays = {name: value.numpy() for name, value in outputs.items() if name in _OUTPUTS}
            for place in range(len(batch)):
                row = {name: values[place] for name, values in arrays.items()}
                found.append(as_objects(row, self.label_map))
        return found

    def _batches(self, images: Sequence[Any]) -> Iterator[list[Any]]:
        for _, group in itertools.groupby(images, key=lambda image: image.shape):
            same = list(group)
            size = self._largest_batch or len(same)
            for start in range(0, len(same), size):
                yield same[start : start + size]


_OUTPUTS = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")


class LiveDetector(_BatchDetector):
    """A model in training, or one just built: detects with the weights it has at the moment."""

    _largest_batch = None

    def __init__(
        self, model: Any, config: Any, folder: Path, label_map: Path | None = None
    ) -> None:
        self.label_map = _label_map(label_map, pipeline_config.label_map_path(config, folder))
        self.source = folder
        self.step = None
        self._call = _detection(model)


class _CheckpointDetector(LiveDetector):
    """A run folder's model with the weights of one of its checkpoints."""

    def __init__(self, config_path: Path, prefix: Path, label_map: Path | None) -> None:
        config = pipeline_config.load(config_path)
        tf = runtime.start()
        model = models.build(config, is_training=False, where=config_path)
        with _matched(model, prefix):
            super().__init__(model, config, config_path.parent, label_map)
        self.source = prefix
        reader = tf.train.load_checkpoint(str(prefix))
        step = "step/.ATTRIBUTES/VARIABLE_VALUE"
        self.step = int(reader.get_tensor(step)) if reader.has_tensor(step) else None


class _SavedModelDetector(_BatchDetector):
    def __init__(self, folder: Path, label_map: LabelMap | None) -> None:
        self.source = folder
        self.step = None
        self.label_map = label_map
        tf = runtime.start()
        try:
            self._model = tf.saved_model.load(str(folder))
            signature = self._model.signatures["serving_default"]
        except (OSError, KeyError, ValueError) as error:
            raise CheckpointError(
                "The SavedModel cannot be loaded.",
                where=folder,
                expected="a SavedModel with a serving_default signature",
                found=str(error).splitlines()[0],
                fix="Export it again (`tfod export`).",
            ) from error
        ((_, arguments),) = [signature.structured_input_signature]
        ((name, spec),) = arguments.items()
        self._largest_batch = spec.shape[0]
        feed = _feeds(tf).get((spec.dtype, spec.shape.rank))
        if feed is None:
            raise UsageError(
                "This SavedModel takes no images.",
                where=folder,
                expected="an export with input type image_tensor, float_image_tensor or "
                "encoded_image_string_tensor",
                found=f"{name}: {spec.dtype.name}{spec.shape}",
                fix="Export it with `tfod export --input_type image_tensor`.",
            )
        self._call = lambda images: signature(**{name: feed(images)})


def _detection(model: Any) -> Callable[[Any], Mapping[str, Any]]:
    """Upstream's detection on images [batch, height, width, 3], as its exporter has it.

    Building it makes the model's variables, so a restore that waits for them takes place.
    """
    tf = runtime.start()
    from object_detection import exporter_lib_v2

    # Upstream's train step turns both on while it is traced, and leaves them so.
    model._is_training = False
    tf.keras.backend.set_learning_phase(False)
    module = exporter_lib_v2.DetectionFromFloatImageModule(model)
    concrete = module.__call__.get_concrete_function()
    return lambda images: concrete(tf.cast(images, tf.float32))


@contextmanager
def _matched(model: Any, prefix: Path) -> Iterator[None]:
    """Restores a checkpoint into the model; at the end every variable of it must have been found.

    Raises:
      CheckpointError: the checkpoint lacks variables, or they have other shapes.
    """
    tf = runtime.start()
    try:
        status = tf.train.Checkpoint(model=model).restore(str(prefix)).expect_partial()
        yield
        status.assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        raise CheckpointError(
            "The checkpoint does not fit the model of its config.",
            where=prefix,
            found=str(error).splitlines()[0],
            fix="Use the pipeline.config that this checkpoint was trained with; if the file is "
            "damaged, name an earlier one with --checkpoint.",
        ) from error


def _feeds(tf: Any) -> dict[Any, Callable[[Any], Any]]:
    """(dtype, rank) of an export's input -> how a uint8 batch is given to it."""
    return {
        (tf.uint8, 4): tf.constant,
        (tf.float32, 4): lambda images: tf.cast(images, tf.float32),
        (tf.string, 1): lambda images: tf.stack(
            [tf.io.encode_png(image, compression=0) for image in images]
        ),
    }


def _saved_model_in(path: Path) -> Path | None:
    """The SavedModel folder meant by a path, if there is one."""
    for folder in (path, path / SAVED_MODEL):
        if (folder / "saved_model.pb").is_file():
            return folder
    return None


def _label_map(given: Path | None, beside: Path) -> LabelMap | None:
    if given is not None:
        return labels.load(given)
    return labels.load(beside) if beside.is_file() else None

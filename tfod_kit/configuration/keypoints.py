"""Keypoint heads for CenterNet, from the keypoints that the label map or the records name."""

import itertools
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit import pipeline_config
from tfod_kit.compat import protos
from tfod_kit.configuration.dataset import DataSet
from tfod_kit.errors import ConfigError, DataError, UsageError
from tfod_kit.io import files
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.records import example, shards

# The annotators' deviation at each of COCO's keypoints, as a share of the object's size
# (cocodataset.org/#keypoints-eval); upstream uses ten times that as a deviation in its output.
_COCO_SIGMAS = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
}
_SAMPLE = 64  # records that are searched for keypoints
_OTHER_SIGMA = 0.05  # upstream's value for unknown keypoints
_SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}

# The loss and the weights of the zoo's keypoint models.
_TASK = """
task_loss_weight: 1.0
loss {
  localization_loss { l1_localization_loss { } }
  classification_loss { penalty_reduced_logistic_focal_loss { alpha: 2.0 beta: 4.0 } }
}
keypoint_regression_loss_weight: 0.1
keypoint_heatmap_loss_weight: 1.0
keypoint_offset_loss_weight: 1.0
offset_peak_radius: 3
per_keypoint_offset: true
"""


@dataclass(frozen=True, slots=True)
class Points:
    """A class's keypoints: name -> its index in the records' lists, from 0."""

    label: str
    indices: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about keypoints.

    Attributes:
      notes: sentences for the user.
      label_map: a label map that names the keypoints, to be written beside the config if only the
        records name them; upstream reads the names from a file. None if not needed.
    """

    notes: tuple[str, ...] = ()
    label_map: str | None = None


def set_keypoints(
    config: PipelineConfig, data: DataSet, requested: bool | None, own_map: Path
) -> Decision:
    """Gives CenterNet a keypoint task for each class with named keypoints, or removes them.

    Args:
      config: changed in place.
      data: its label map or its records name the keypoints.
      requested: whether to learn keypoints; None if the names decide.
      own_map: where a label map with the records' names would be written.

    Raises:
      UsageError: keypoints are requested of a model that cannot detect any.
      DataError: they are requested, and neither the label map nor the records name any.
      ConfigError: two keypoints have the same index in the records.
    """
    if pipeline_config.architecture(config) != "center_net":
        if requested:
            raise UsageError(
                "Only CenterNet models detect keypoints.",
                found=pipeline_config.architecture(config),
                fix="Use one of `tfod models --filter keypoints`, such as centernet_keypoints.",
            )
        return Decision()
    points = named(data.label_map_path) if requested is not False else ()
    source, path, text = "label map", data.label_map_path, None
    if not points and requested is not False:
        points = in_records(data)
        if points:
            source, path, text = "records", own_map, _label_map(data, points)
    if requested and not points:
        raise DataError(
            "Neither the label map nor the records name keypoints.",
            where=data.label_map_path,
            expected="item { name: 'person' keypoints { id: 0 label: 'nose' } ... }",
            fix="Convert annotations with keypoints (COCO's), or add them to the label map.",
        )
    present = list(config.model.center_net.keypoint_estimation_task)
    if not points:
        _remove(config)
        return Decision(_left_out(requested) if present else ())
    _add(config, points, path)
    total = sum(len(item.indices) for item in points)
    classes = ", ".join(item.label for item in points)
    if present and text is None:
        return Decision()
    note = (
        f"The {source} name{'s' if text is None else ''} {total} keypoints ({classes}): the model "
        "learns them too (--keypoints no leaves them out)."
    )
    return Decision((note,), text)


def named(label_map: Path) -> tuple[Points, ...]:
    """The classes that have named keypoints in a label map, in its order.

    Raises:
      ConfigError: two keypoints have one id.
    """
    from google.protobuf import text_format

    message = protos.load("string_int_label_map").StringIntLabelMap()
    text_format.Parse(files.read_text(label_map), message)
    classes = tuple(
        Points(item.name, {point.label: point.id for point in item.keypoints})
        for item in message.item
        if item.keypoints
    )
    owner: dict[int, str] = {}
    for item in classes:
        for name, index in item.indices.items():
            if index in owner:
                raise ConfigError(
                    f"Two keypoints have the id {index}.",
                    where=label_map,
                    found=f"{owner[index]} and {item.label}'s {name}",
                    expected="ids from 0, each once in all classes: indices in the records",
                    fix="Renumber them, and the records' lists with them.",
                )
            owner[index] = f"{item.label}'s {name}"
    return classes


def in_records(data: DataSet) -> tuple[Points, ...]:
    """The keypoints that the first records name, for the class that has most of them.

    In records all objects share one list of keypoints; upstream expects the indices of one class.
    """
    seen: Counter[str] = Counter()
    names: dict[str, tuple[str, ...]] = {}
    paths = shards.match(data.splits["train"].pattern)
    records = itertools.chain.from_iterable(map(shards.read, paths))
    for record in itertools.islice(records, _SAMPLE):
        try:
            annotation, _ = example.decode(record, data.label_map)
        except DataError:
            return ()  # `tfod check` reports damaged records
        for item in annotation.objects:
            labelled = tuple(point.name for point in item.keypoints)
            if labelled and all(labelled) and any(point.visibility for point in item.keypoints):
                seen[item.label] += 1
                names[item.label] = labelled
    if not seen:
        return ()
    label = max(seen, key=lambda name: (seen[name], name))
    return (Points(label, {name: index for index, name in enumerate(names[label])}),)


def _label_map(data: DataSet, points: tuple[Points, ...]) -> str:
    """The data set's label map with the keypoints added."""
    from google.protobuf import text_format

    message = protos.load("string_int_label_map").StringIntLabelMap()
    text_format.Parse(files.read_text(data.label_map_path), message)
    for item in message.item:
        for owner in points:
            if item.name == owner.label:
                for name, index in owner.indices.items():
                    item.keypoints.add(id=index, label=name)
    return text_format.MessageToString(message, as_utf8=True)


def mirrored(points: tuple[Points, ...]) -> list[int]:
    """For each keypoint index, its index in a mirrored image: left_eye becomes right_eye."""
    order = list(range(max(index for item in points for index in item.indices.values()) + 1))
    for item in points:
        for name, index in item.indices.items():
            order[index] = item.indices.get(_other_side(name), index)
    return order


def _other_side(name: str) -> str:
    parts = re.split(r"([_\-\s.]+)", name)
    swapped = [_SIDES.get(part.lower(), part) for part in parts]
    if swapped == parts:  # leftEye, LeftEye
        return re.sub(
            "left|right",
            lambda side: (
                _SIDES[side[0].lower()].capitalize()
                if side[0][0].isupper()
                else _SIDES[side[0].lower()]
            ),
            name,
            count=1,
            flags=re.IGNORECASE,
        )
    return "".join(
        new.capitalize() if old[:1].isupper() and old != new else new
        for old, new in zip(parts, swapped, strict=True)
    )


def _add(config: PipelineConfig, points: tuple[Points, ...], label_map: Path) -> None:
    model = config.model.center_net
    tasks = [_task(model, item) for item in points]
    del model.keypoint_estimation_task[:]
    model.keypoint_estimation_task.extend(tasks)
    model.keypoint_label_map_path = label_map.as_posix()
    order = mirrored(points)
    for reader in (config.train_input_reader, *config.eval_input_reader):
        reader.num_keypoints = len(order)
    for step in config.train_config.data_augmentation_options:
        for name in ("random_horizontal_flip", "random_vertical_flip"):
            if step.HasField(name):
                getattr(step, name).keypoint_flip_permutation[:] = order
        if step.HasField("random_rotation90"):
            step.random_rotation90.keypoint_rot_permutation[:] = range(len(order))
    _set_metrics(config, points)


def _task(model: Any, points: Points) -> Any:
    """The base's own task if it has exactly these keypoints, or else one like the zoo's."""
    for present in model.keypoint_estimation_task:
        if present.keypoint_label_to_std.keys() == points.indices.keys():
            task = pipeline_config.copy_of(present)
            task.keypoint_class_name = points.label
            return task
    from google.protobuf import text_format

    task = text_format.Parse(_TASK, model.keypoint_estimation_task.add())
    task.task_name = f"{points.label}_keypoints"
    task.keypoint_class_name = points.label
    for name in points.indices:
        task.keypoint_label_to_std[name] = 10 * _sigma(name)
    return task


def _set_metrics(config: PipelineConfig, points: tuple[Points, ...]) -> None:
    evaluation = config.eval_config
    had = [item.coco_keypoint_metrics.class_label for item in evaluation.parameterized_metric]
    evaluation.ClearField("parameterized_metric")
    if had != [item.label for item in points]:
        # The base's edges connect the keypoints of other classes.
        evaluation.ClearField("keypoint_edge")
    for item in points:
        metric = evaluation.parameterized_metric.add().coco_keypoint_metrics
        metric.class_label = item.label
        for name in item.indices:
            metric.keypoint_label_to_sigmas[name] = _sigma(name)


def _sigma(name: str) -> float:
    plain = re.sub("left|right", "", name.lower()).strip("_- .")
    return _COCO_SIGMAS.get(plain, _OTHER_SIGMA)


def _remove(config: PipelineConfig) -> None:
    for name in ("keypoint_estimation_task", "keypoint_label_map_path"):
        config.model.center_net.ClearField(name)
    for reader in (config.train_input_reader, *config.eval_input_reader):
        reader.ClearField("num_keypoints")
    for name in ("parameterized_metric", "keypoint_edge"):
        config.eval_config.ClearField(name)
    for step in config.train_config.data_augmentation_options:
        if step.HasField("random_horizontal_flip"):
            step.random_horizontal_flip.ClearField("keypoint_flip_permutation")


def _left_out(requested: bool | None) -> tuple[str, ...]:
    if requested is False:
        return ()
    return ("The label map names no keypoints: the model's keypoint task is left out.",)

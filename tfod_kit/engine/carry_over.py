"""Decides which variables of a checkpoint a model with other classes takes over, and how.

Everything with an equal role and shape is copied. The last layers, which have a row for each class,
take the rows of the classes with equal names. No TensorFlow is needed here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tfod_kit.core.labels import LabelMap
from tfod_kit.engine import class_rows
from tfod_kit.engine.class_rows import ClassAxis
from tfod_kit.engine.variable_text import Shape, listed, numbers, parts, shape_of
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.runs.checkpoint_classes import CheckpointClasses

_SHOWN = 3
_SHOWN_CLASSES = 8


@dataclass(frozen=True, slots=True)
class Stored:
    """A variable of a checkpoint: its key there and its shape."""

    key: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """The classes of a model and where their rows come from.

    Attributes:
      rows: for each class of the model (id - 1) the index of its row in the checkpoint; None if
        the checkpoint does not have the class.
      count: the number of classes of the checkpoint.
      pool: the indices of the checkpoint's rows that belong to a class; the rows of new classes
        start as their mean.
      by_name: the names of the classes that both have.
      new: the names of the classes that only the model has.
      source: the file that names the checkpoint's classes; None if they are unknown.
    """

    rows: tuple[int | None, ...]
    count: int
    pool: tuple[int, ...]
    by_name: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    source: str | None = None

    def __str__(self) -> str:
        if self.source is None and None not in self.rows:
            return f"the rows of its {len(self.rows)} classes, whose names are unknown, in order"
        mean = f"the mean of the checkpoint's {len(self.pool)} classes"
        if self.source is None:
            return f"all as {mean}, whose names are unknown (--checkpoint_label_map FILE)"
        origins = []
        if self.by_name:
            origins.append(f"by name: {listed(self.by_name, _SHOWN_CLASSES)}")
        if self.new:
            origins.append(f"as {mean}: {listed(self.new, _SHOWN_CLASSES)}")
        return f"{'; '.join(origins)} (the checkpoint's classes: {self.source})"


@dataclass(frozen=True, slots=True)
class CarryOver:
    """What happens to each variable of a model; names as in a checkpoint.

    Attributes:
      shapes: name -> shape, for all variables.
      copied: name -> the variable of the checkpoint with the same value.
      by_class: name -> the variable of the checkpoint from which it takes rows.
      axes: name -> where the classes are, for those in `by_class`.
      match: which rows are taken.
      new: name -> why it starts from initial values.
    """

    shapes: Mapping[str, Shape]
    copied: Mapping[str, Stored]
    by_class: Mapping[str, Stored]
    axes: Mapping[str, ClassAxis]
    match: ClassMatch | None
    new: Mapping[str, str]

    def __str__(self) -> str:
        """A summary of a few lines."""
        copied = (
            f"{len(self.copied)} of {len(self.shapes)} variables ({self._numbers(self.copied)})"
        )
        lines = [f"{copied} are restored: {parts(self.copied) or 'no part'}"]
        if self.by_class:
            lines.append(f"{len(self.by_class)} are restored by class: {self.match}")
        if self.new:
            why = [f"{name} ({reason})" for name, reason in self.new.items()]
            size = self._numbers(self.new)
            lines.append(
                f"{len(self.new)} start from initial values ({size}): {listed(why, _SHOWN)}"
            )
        return "\n".join(lines)

    def _numbers(self, names: Iterable[str]) -> str:
        return numbers(self.shapes[name] for name in names)


def stored_classes(
    config: PipelineConfig, shapes: Mapping[str, Shape], stored: Mapping[str, Stored]
) -> int | None:
    """The number of classes of a checkpoint, by the shapes of its last layers.

    None if it has no such layers, or if they differ in more than the number of classes.

    Args:
      config: the config of the model, not that of the checkpoint.
      shapes: name -> shape of the model's variables.
      stored: name of the model's variable -> the checkpoint's variable in the same role.
    """
    if any(
        name in stored and stored[name].shape != shapes[name]
        for name in class_rows.anchor_variables(shapes)
    ):
        return None  # other anchors: the layers cannot be divided by class
    counts = {
        axis.classes(stored[name].shape[-1])
        for name, axis in class_rows.class_axes(config, shapes).items()
        if name in stored and stored[name].shape[:-1] == shapes[name][:-1]
    }
    return counts.pop() if len(counts) == 1 else None


def match_classes(
    classes: int, own: LabelMap, count: int, known: CheckpointClasses | None
) -> ClassMatch:
    """Matches the classes of a model with those of a checkpoint, by name.

    Case does not matter, and display names count as well. If the checkpoint's classes are unknown
    and are as many as the model's, they are taken to be the same.

    Args:
      classes: the model's num_classes.
      own: the classes of the model; empty if they are unknown.
      count: the number of classes of the checkpoint.
      known: the classes of the checkpoint; None if they are unknown.
    """
    if known is None or not own:
        kept = tuple(range(count)) if classes == count else (None,) * classes
        return ClassMatch(kept, count, tuple(range(count)), new=tuple(own))
    theirs = _rows_by_name(known.label_map)
    rows: list[int | None] = [None] * classes
    by_name: list[str] = []
    new: list[str] = []
    for name, number in own.ids.items():
        keys = (name.casefold(), own.display_names.get(name, name).casefold())
        row = next((theirs[key] for key in keys if key in theirs), None)
        (new if row is None else by_name).append(name)
        if number <= classes:
            rows[number - 1] = row
    pool = tuple(number - 1 for number in known.label_map.ids.values())
    return ClassMatch(tuple(rows), count, pool, tuple(by_name), tuple(new), known.source)


def plan(
    config: PipelineConfig,
    shapes: Mapping[str, Shape],
    stored: Mapping[str, Stored],
    match: ClassMatch | None,
) -> CarryOver:
    """Decides what happens to each variable of a model.

    Args:
      config: the model's config.
      shapes: name -> shape of the model's variables.
      stored: name of the model's variable -> the checkpoint's variable in the same role.
      match: the classes; None if the checkpoint's last layers cannot be divided by class.
    """
    axes = class_rows.class_axes(config, shapes)
    copied: dict[str, Stored] = {}
    by_class: dict[str, Stored] = {}
    new: dict[str, str] = {}
    for name, shape in shapes.items():
        theirs = stored.get(name)
        if theirs is None:
            new[name] = "not in the checkpoint"
        elif name in axes and match is None:
            new[name] = "the checkpoint has other anchors, or several numbers of classes"
        elif match is not None and name in axes and _fits(axes[name], shape, theirs.shape, match):
            by_class[name] = theirs
        elif name not in axes and theirs.shape == shape:
            copied[name] = theirs
        else:
            new[name] = (
                f"{shape_of(shape)} in the model, {shape_of(theirs.shape)} in the checkpoint"
            )
    used = {name: axes[name] for name in by_class}
    return CarryOver(shapes, copied, by_class, used, match, new)


def _rows_by_name(label_map: LabelMap) -> dict[str, int]:
    """Names in lower case -> index of the row; a name wins over another class's display name."""
    shown = {
        name.casefold(): label_map.ids[own] - 1 for own, name in label_map.display_names.items()
    }
    return shown | {name.casefold(): number - 1 for name, number in label_map.ids.items()}


def _fits(axis: ClassAxis, own: Shape, theirs: Shape, match: ClassMatch) -> bool:
    return own[:-1] == theirs[:-1] and theirs[-1] == axis.size(match.count)

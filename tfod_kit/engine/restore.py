"""Restores checkpoints, and reports what they contain for each variable of a model.

Upstream restores by walking the objects of the model and of the checkpoint side by side, and does
not report the variables that it leaves out. The same walk is done here to report them.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tfod_kit.engine import averages
from tfod_kit.engine.carry_over import Stored
from tfod_kit.engine.upstream import DetectionModel, Variable
from tfod_kit.engine.variable_text import Shape, listed, numbers, parts, shape_of
from tfod_kit.errors import CheckpointError, first_line
from tfod_kit.runs import checkpoint_index
from tfod_kit.runs.checkpoint_index import VALUE

_SHOWN = 3

Trackable: TypeAlias = Any  # tf.train.Checkpoint, tf.Module, tf.Variable and the like


@dataclass(frozen=True, slots=True)
class Restored:
    """The variables of a model, by what happens to them in a restore; names as in a checkpoint.

    Attributes:
      matched: restored from the checkpoint.
      initialised: not to be restored; in fine-tuning, the parts that depend on the classes.
      missing: to be restored, but not in the checkpoint.
      other_shape: to be restored, but of another shape in the checkpoint: name -> (shape in the
        model, shape in the checkpoint).
    """

    matched: Mapping[str, Shape]
    initialised: Mapping[str, Shape]
    missing: Mapping[str, Shape]
    other_shape: Mapping[str, tuple[Shape, Shape]]

    @property
    def complete(self) -> bool:
        """Whether all variables that were to be restored are restored."""
        return not self.missing and not self.other_shape

    def __str__(self) -> str:
        """A summary of a few lines."""
        new = self.initialised
        total = len(self.matched) + len(new) + len(self.missing) + len(self.other_shape)
        size = numbers(self.matched.values())
        lines = [
            f"{len(self.matched)} of {total} variables ({size}) are restored: "
            f"{parts(self.matched) or 'no part'}"
        ]
        if new:
            lines.append(
                f"{len(new)} start from initial values ({numbers(new.values())}): {parts(new)}"
            )
        if self.missing:
            names = _names(self.missing)
            lines.append(f"{len(self.missing)} are MISSING from the checkpoint: {names}")
        if self.other_shape:
            shapes = [
                f"{name} ({shape_of(mine)} in the model, {shape_of(theirs)} in the checkpoint)"
                for name, (mine, theirs) in self.other_shape.items()
            ]
            lines.append(
                f"{len(shapes)} have ANOTHER SHAPE in the checkpoint: {listed(shapes, _SHOWN)}"
            )
        return "\n".join(lines)


def layout(model: DetectionModel) -> dict[str, checkpoint_index.Variable]:
    """The variables that `tf.train.Checkpoint(model=model)` would save, by their stored names.

    Args:
      model: upstream's DetectionModel, whose variables exist (after a first call).
    """
    return {
        name + VALUE: checkpoint_index.Variable(tuple(variable.shape), variable.dtype.name)
        for name, variable in named_variables(model)
    }


def named_variables(model: DetectionModel) -> Iterator[tuple[str, Variable]]:
    """Yields each existing variable of a model with its name in a checkpoint: model/..."""
    import tensorflow as tf

    for full_name, variable in _variables(tf.train.Checkpoint(model=model)):
        name = full_name.removesuffix(VALUE)
        if name != "save_counter":
            yield name, variable


def stored(model: DetectionModel, prefix: Path) -> dict[str, Stored]:
    """The variables of a detector's checkpoint that have the roles of a model's variables.

    Args:
      model: upstream's DetectionModel, whose variables exist.
      prefix: the prefix of the checkpoint.

    Returns:
      The name of the model's variable -> the checkpoint's variable; without an entry for those
      that the checkpoint does not have.

    Raises:
      CheckpointError: the checkpoint is damaged.
    """
    import tensorflow as tf

    values = checkpoint_index.values(checkpoint_index.read(prefix))
    keys = dict(_stored_keys(tf.train.Checkpoint(model=model), prefix))
    return {
        name: Stored(key, values[key].shape)
        for name, variable in named_variables(model)
        if (key := keys.get(id(variable))) in values
    }


def restored(model: DetectionModel, prefix: Path, kind: str = "full") -> Restored:
    """Reports which variables are restored if upstream restores a checkpoint into a model.

    Args:
      model: upstream's DetectionModel, whose variables exist.
      prefix: the prefix of the checkpoint.
      kind: "full" for resuming, or a config's fine_tune_checkpoint_type.

    Raises:
      CheckpointError: the checkpoint is damaged.
      ValueError: the model does not support this kind.
    """
    import tensorflow as tf

    values = checkpoint_index.values(checkpoint_index.read(prefix))
    root = tf.train.Checkpoint(**model.restore_from_objects(fine_tune_checkpoint_type=kind))
    keys = dict(_stored_keys(root, prefix))  # id of a variable -> its name in the checkpoint
    requested = {id(variable) for _, variable in _variables(root)}
    matched, initialised, missing = {}, {}, {}
    other: dict[str, tuple[Shape, Shape]] = {}
    for name, variable in named_variables(model):
        shape = tuple(variable.shape)
        key = keys.get(id(variable))
        if id(variable) not in requested:
            initialised[name] = shape
        elif key is None or key not in values:
            missing[name] = shape
        elif values[key].shape != shape:
            other[name] = (shape, values[key].shape)
        else:
            matched[name] = shape
    return Restored(matched, initialised, missing, other)


@contextmanager
def matched(model: DetectionModel, prefix: Path) -> Iterator[None]:
    """Restores the weights of a checkpoint, or their averages if there are any, into a model.

    The block creates the model's variables; at its end each of them must have been restored.

    Raises:
      CheckpointError: the checkpoint lacks variables, or they have other shapes.
    """
    import tensorflow as tf

    try:
        with averages.deployed(prefix) as weights:
            # Not `restore`: it requires a save counter, which only checkpoints of `save` contain.
            status = tf.train.Checkpoint(model=model).read(str(weights)).expect_partial()
            yield
            status.assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        raise does_not_fit(prefix, error) from error


def does_not_fit(prefix: Path, error: Exception) -> CheckpointError:
    """The error for a checkpoint that was deleted, or another model's; `error` is TensorFlow's."""
    if not prefix.with_name(f"{prefix.name}.index").is_file():
        return CheckpointError(
            "The checkpoint was deleted while it was read.",
            where=prefix,
            fix="Run the command again. A training keeps only its newest checkpoints (--keep) and "
            "the best one (--checkpoint best).",
        )
    if "Checksum does not match" in str(error):  # of a tensor's data
        return CheckpointError(
            "The checkpoint is damaged.",
            where=prefix,
            found=first_line(error),
            fix="Copy it again, or name an earlier one with --checkpoint.",
        )
    return CheckpointError(
        "The checkpoint does not fit the model of its config.",
        where=prefix,
        found=first_line(error),
        fix="Use the pipeline.config that this checkpoint was trained with; if the file is "
        "damaged, name an earlier one with --checkpoint.",
    )


def check_complete(model: DetectionModel, prefix: Path) -> None:
    """Checks that the run's own checkpoint contains every variable of the model.

    Raises:
      CheckpointError: variables are missing or have another shape.
    """
    report = restored(model, prefix)
    if not report.complete:
        raise CheckpointError(
            "The checkpoint in the run folder does not fit the model.",
            where=prefix,
            found=str(report),
            fix="Train in a new folder (`tfod configure --out`), or restore the old config.",
        )


def _variables(root: Trackable) -> Iterator[tuple[str, Variable]]:
    """Yields every variable below an object once, with the name under which it is saved."""
    import tensorflow as tf

    view = tf.train.TrackableView(root)
    names: dict[int, str] = {id(root): ""}
    queue = deque([root])
    while queue:  # breadth first: the shortest path to a variable is its name
        current = queue.popleft()
        if isinstance(current, tf.Variable):
            yield names[id(current)] + VALUE, current
        for part, child in view.children(current).items():
            if id(child) not in names:
                above = names[id(current)]
                names[id(child)] = f"{above}/{_escaped(part)}" if above else _escaped(part)
                queue.append(child)


def _stored_keys(root: Trackable, prefix: Path) -> Iterator[tuple[int, str]]:
    """Yields the id and the key of each variable that the checkpoint has at the same path."""
    import tensorflow as tf
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    stored = tf.train.load_checkpoint(str(prefix)).get_tensor(checkpoint_index.OBJECT_GRAPH)
    nodes = TrackableObjectGraph.FromString(stored).nodes
    view = tf.train.TrackableView(root)
    seen = {id(root)}
    queue = deque([(root, nodes[0])])
    while queue:
        current, node = queue.popleft()
        for attribute in node.attributes:
            if isinstance(current, tf.Variable):
                yield id(current), attribute.checkpoint_key.removesuffix(VALUE)
        node_ids = {child.local_name: child.node_id for child in node.children}
        for part, child in view.children(current).items():
            if part in node_ids and id(child) not in seen:
                seen.add(id(child))
                queue.append((child, nodes[node_ids[part]]))


def _escaped(part: str) -> str:
    # The escaping of names in keys, as in tensorflow/python/checkpoint/trackable_view.py.
    return part.replace(".", "..").replace("/", ".S")


def _names(variables: Mapping[str, Shape]) -> str:
    return listed([f"{name} {shape_of(shape)}" for name, shape in variables.items()], _SHOWN)

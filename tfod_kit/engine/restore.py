"""What a checkpoint gives a model, variable by variable.

Upstream restores by walking the model's objects and the checkpoint's side by side, and says nothing
of the variables that it was never asked for. The same walk is done here, to tell.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.engine import averages
from tfod_kit.errors import CheckpointError, first_line
from tfod_kit.runs import checkpoint_index, checkpoints
from tfod_kit.runs.checkpoint_index import VALUE, Variable

_SHOWN = 3

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """The variables of a model, by what a checkpoint has for them; names as in a checkpoint.

    Attributes:
      matched: taken from the checkpoint.
      anew: not asked for: the parts that depend on the classes, in a fine-tuning.
      missing: asked for, and not in the checkpoint.
      other_shape: asked for and there, but as name -> (shape here, shape in the checkpoint).
    """

    matched: Mapping[str, Shape]
    anew: Mapping[str, Shape]
    missing: Mapping[str, Shape]
    other_shape: Mapping[str, tuple[Shape, Shape]]

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for came."""
        return not self.missing and not self.other_shape

    def __str__(self) -> str:
        """Some lines for a person."""
        here = len(self.matched) + len(self.anew) + len(self.missing) + len(self.other_shape)
        lines = [
            f"{len(self.matched)} of {here} variables ({_numbers(self.matched)}) come from it: "
            f"{_parts(self.matched) or 'none'}"
        ]
        if self.anew:
            lines.append(
                f"{len(self.anew)} start anew ({_numbers(self.anew)}): {_parts(self.anew)}"
            )
        if self.missing:
            lines.append(f"{len(self.missing)} are MISSING from it: {_names(self.missing)}")
        if self.other_shape:
            shapes = [
                f"{name} ({_shape(mine)} here, {_shape(theirs)} there)"
                for name, (mine, theirs) in self.other_shape.items()
            ]
            lines.append(f"{len(shapes)} have ANOTHER SHAPE there: {_listed(shapes)}")
        return "\n".join(lines)


def layout(model: Any) -> dict[str, Variable]:
    """The variables that `tf.train.Checkpoint(model=model)` would save, by their stored names.

    Args:
      model: upstream's DetectionModel, its variables made (by a first call).
    """
    return {
        name + VALUE: Variable(tuple(variable.shape), variable.dtype.name)
        for name, variable in named_variables(model)
    }


def named_variables(model: Any) -> Iterator[tuple[str, Any]]:
    """Each variable of a model, its variables made, with its name in a checkpoint: model/..."""
    import tensorflow as tf

    for full_name, variable in _variables(tf.train.Checkpoint(model=model)):
        name = full_name.removesuffix(VALUE)
        if name != "save_counter":
            yield name, variable


def restored(model: Any, prefix: Path, kind: str = "full") -> Restored:
    """What the checkpoint gives the model when upstream restores it.

    Args:
      model: upstream's DetectionModel, its variables made.
      prefix: the checkpoint's.
      kind: "full" for a resumed training, or a config's fine_tune_checkpoint_type.

    Raises:
      CheckpointError: the checkpoint is damaged.
      ValueError: the model has no such kind.
    """
    import tensorflow as tf

    there = checkpoint_index.values(checkpoint_index.read(prefix))
    root = tf.train.Checkpoint(**model.restore_from_objects(fine_tune_checkpoint_type=kind))
    keys = dict(_stored_keys(root, prefix))  # id of a variable -> its name in the checkpoint
    asked = {id(variable) for _, variable in _variables(root)}
    matched, anew, missing = {}, {}, {}
    other: dict[str, tuple[Shape, Shape]] = {}
    for name, variable in named_variables(model):
        shape = tuple(variable.shape)
        key = keys.get(id(variable))
        if id(variable) not in asked:
            anew[name] = shape
        elif key is None or key not in there:
            missing[name] = shape
        elif there[key].shape != shape:
            other[name] = (shape, there[key].shape)
        else:
            matched[name] = shape
    return Restored(matched, anew, missing, other)


@contextmanager
def matched(model: Any, prefix: Path) -> Iterator[None]:
    """Restores a checkpoint's weights, averages where it has them, into a model. When the block
    ends, which makes the model's variables, every one of them must have been found.

    Raises:
      CheckpointError: the checkpoint lacks variables, or they have other shapes.
    """
    import tensorflow as tf

    try:
        with averages.deployed(prefix) as weights:
            # Not `restore`: that asks for a counter too, which only what `save` wrote has.
            status = tf.train.Checkpoint(model=model).read(str(weights)).expect_partial()
            yield
            status.assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        raise does_not_fit(prefix, error) from error


def does_not_fit(prefix: Path, error: Exception) -> CheckpointError:
    """The error for a checkpoint of another model, by what TensorFlow says of it."""
    return CheckpointError(
        "The checkpoint does not fit the model of its config.",
        where=prefix,
        found=first_line(error),
        fix="Use the pipeline.config that this checkpoint was trained with; if the file is "
        "damaged, name an earlier one with --checkpoint.",
    )


def fine_tune(model: Any, settings: Any, data: Any, where: Path) -> Restored:
    """Loads the checkpoint to start from as upstream does; says what came of it.

    Args:
      model: upstream's DetectionModel.
      settings: the train_config; its fine_tune_checkpoint_type is filled in where it was absent.
      data: the training input, which makes the model's variables.
      where: the config's file, for the message.

    Raises:
      CheckpointError: the checkpoint is absent, or another model's.
    """
    from object_detection import model_lib_v2
    from object_detection.utils import config_util

    prefix = checkpoints.resolve(Path(settings.fine_tune_checkpoint))
    config_util.update_fine_tune_checkpoint_type(settings)
    try:
        model_lib_v2.load_fine_tune_checkpoint(
            model,
            str(prefix),
            settings.fine_tune_checkpoint_type,
            settings.fine_tune_checkpoint_version,
            settings.run_fine_tune_checkpoint_dummy_computation,
            data,
            settings.unpad_groundtruth_tensors,
        )
    except (OSError, ValueError, AssertionError) as error:
        raise CheckpointError(
            "The checkpoint to fine-tune does not fit this model.",
            where=prefix,
            expected=f"a TF2 checkpoint of this model ({settings.fine_tune_checkpoint_type})",
            found=first_line(error),
            fix=f"Check fine_tune_checkpoint and fine_tune_checkpoint_type in {where}.",
        ) from error
    return restored(model, prefix, settings.fine_tune_checkpoint_type)


def check_whole(model: Any, prefix: Path) -> None:
    """Sees that the run's own checkpoint held every variable of the model, once they exist.

    Raises:
      CheckpointError: it did not.
    """
    held = restored(model, prefix)
    if not held.complete:
        raise CheckpointError(
            "The checkpoint in the run folder is another model's.",
            where=prefix,
            found=str(held),
            fix="Train in a new folder (`tfod configure --out`), or restore the old config.",
        )


def _variables(root: Any) -> Iterator[tuple[str, Any]]:
    """Every variable below an object, each once, with the name that it is saved under."""
    import tensorflow as tf

    view = tf.train.TrackableView(root)
    names: dict[int, str] = {id(root): ""}
    queue = deque([root])
    while queue:  # breadth first: the shortest way to a variable gives its name
        current = queue.popleft()
        if isinstance(current, tf.Variable):
            yield names[id(current)] + VALUE, current
        for part, child in view.children(current).items():
            if id(child) not in names:
                above = names[id(current)]
                names[id(child)] = f"{above}/{_escaped(part)}" if above else _escaped(part)
                queue.append(child)


def _stored_keys(root: Any, prefix: Path) -> Iterator[tuple[int, str]]:
    """For each variable below an object that the checkpoint has at the same place: its key."""
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
        places = {child.local_name: child.node_id for child in node.children}
        for part, child in view.children(current).items():
            if part in places and id(child) not in seen:
                seen.add(id(child))
                queue.append((child, nodes[places[part]]))


def _escaped(part: str) -> str:
    # As tensorflow/python/checkpoint/trackable_view.py's names are written into keys.
    return part.replace(".", "..").replace("/", ".S")


def _parts(variables: Mapping[str, Any]) -> str:
    """The model's parts that the variables belong to, with how many each: _feature_extractor."""
    counts: dict[str, int] = {}
    for name in variables:
        part = name.split("/")[1] if "/" in name else name
        counts[part] = counts.get(part, 0) + 1
    return ", ".join(f"{part} ({count})" for part, count in counts.items())


def _numbers(variables: Mapping[str, Shape]) -> str:
    total = sum(map(math.prod, variables.values()))
    return f"{total / 1e6:.1f} M numbers" if total >= 100_000 else f"{total:,} numbers"


def _names(variables: Mapping[str, Shape]) -> str:
    return _listed([f"{name} {_shape(shape)}" for name, shape in variables.items()])


def _listed(items: list[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "one number"

"""Writes the weights of an exported SavedModel as a checkpoint in upstream's layout.

`exporter_main_v2` and `tfod export` save a module whose attribute `_model` is the DetectionModel.
The object graph beside its variables has the edges of upstream's checkpoints, so the variables
only need other names and the graph another root. No model is built.
"""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from tfod_kit.engine import runtime
from tfod_kit.errors import CheckpointError, first_line
from tfod_kit.io import files
from tfod_kit.runs.checkpoint_index import OBJECT_GRAPH, VALUE

_MODEL = "_model"
# Edges that only a SavedModel has; they lead to the same variables under other names.
_KERAS_EDGES = frozenset(
    {
        "keras_api",
        "layer_metrics",
        "layer_regularization_losses",
        "layers",
        "losses",
        "metrics",
        "non_trainable_variables",
        "regularization_losses",
        "signatures",
        "trainable_variables",
        "variables",
    }
)

Graph: TypeAlias = Any  # tensorflow.core.protobuf.trackable_object_graph_pb2.TrackableObjectGraph


def convert(folder: Path, out: Path) -> Path:
    """Writes a checkpoint with the weights of a SavedModel; returns its prefix, OUT/ckpt-0.

    Args:
      folder: the SavedModel: saved_model.pb and variables/.
      out: the folder to write, which is replaced.

    Raises:
      CheckpointError: the SavedModel is damaged, or is not a detector of the Object Detection API.
      UsageError: the folder cannot be written.
    """
    tf = runtime.start()
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    try:
        reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        graph = TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH))
        names = _rename(graph, folder)
        tensors = {new: tf.constant(reader.get_tensor(old)) for old, new in names.items()}
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            "The variables of the SavedModel cannot be read.",
            where=folder,
            found=first_line(error),
            fix="Copy or download it again.",
        ) from error
    tensors[OBJECT_GRAPH] = tf.constant(graph.SerializeToString())
    with files.atomic_folder(out) as beside:
        tf.raw_ops.SaveV2(
            prefix=str(beside / "ckpt-0"),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=list(tensors.values()),
        )
    return out / "ckpt-0"


def _rename(graph: Graph, folder: Path) -> dict[str, str]:
    """Makes the graph that of a checkpoint; returns the old and new keys of its variables."""
    nodes = graph.nodes
    model = next((each for each in nodes[0].children if each.local_name == _MODEL), None)
    if model is None:
        raise CheckpointError(
            "The SavedModel is not a detector of the Object Detection API.",
            where=folder,
            expected="an export of exporter_main_v2 or `tfod export`",
            found="no detection model in its object graph",
            fix="Name another, or start from random weights: --checkpoint none.",
        )
    model.local_name = "model"
    del nodes[0].children[:]
    nodes[0].children.add(node_id=model.node_id, local_name="model")
    keys = {}
    for node, name in _paths(graph, model.node_id):
        for attribute in node.attributes:
            keys[attribute.checkpoint_key] = name + VALUE
            attribute.checkpoint_key = name + VALUE
    return keys


def _paths(graph: Graph, start: int) -> Iterator[tuple[Any, str]]:
    """Yields each node below the model with its shortest path, as TensorFlow names variables."""
    names = {start: "model"}
    for skipped in (_KERAS_EDGES, frozenset()):  # what only those edges reach comes last
        queue = deque(names)
        while queue:
            current = queue.popleft()
            for child in graph.nodes[current].children:
                if child.node_id not in names and child.local_name not in skipped:
                    part = child.local_name.replace(".", "..").replace("/", ".S")
                    names[child.node_id] = f"{names[current]}/{part}"
                    queue.append(child.node_id)
    for node_id, name in names.items():
        yield graph.nodes[node_id], name

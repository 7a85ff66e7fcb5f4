"""Averaged weights (EMA): upstream's optimiser keeps them beside the weights.

A checkpoint contains both in upstream's layout: the weights, from which training resumes, and for
each weight the optimiser's slot "average". Evaluation and export use the averages if there are any.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfod_kit.engine.upstream import DetectionModel, MovingAverageOptimizer
from tfod_kit.runs import checkpoint_index
from tfod_kit.runs.checkpoint_index import OBJECT_GRAPH, VALUE

_SLOT = f"/.OPTIMIZER_SLOT/optimizer/average{VALUE}"


def are_in(prefix: Path) -> bool:
    """Whether a checkpoint contains averages of its weights."""
    return any(name.endswith(_SLOT) for name in checkpoint_index.read(prefix))


@contextmanager
def deployed(prefix: Path) -> Iterator[Path]:
    """Yields the prefix of the checkpoint to measure or export: averages in place of weights.

    This is `prefix` itself if it contains no averages, else a temporary checkpoint of the model.

    Raises:
      CheckpointError: the checkpoint is damaged.
    """
    if not are_in(prefix):
        yield prefix
        return
    print(f"Using the averaged weights (EMA) of {prefix}", flush=True)
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    shapes = reader.get_variable_to_shape_map()
    tensors = {OBJECT_GRAPH: tf.constant(reader.get_tensor(OBJECT_GRAPH))}
    for name in shapes:
        if name.endswith(VALUE) and ".OPTIMIZER_SLOT" not in name:
            slot = name.removesuffix(VALUE) + _SLOT
            tensors[name] = tf.constant(reader.get_tensor(slot if slot in shapes else name))
    with tempfile.TemporaryDirectory() as folder:
        averaged = Path(folder) / prefix.name
        tf.raw_ops.SaveV2(
            prefix=str(averaged),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=list(tensors.values()),
        )
        yield averaged


class Averages:
    """The averaged weights of a model in training.

    Args:
      optimizer: upstream's ExponentialMovingAverage.
      model: upstream's DetectionModel, whose variables exist.
    """

    def __init__(self, optimizer: MovingAverageOptimizer, model: DetectionModel) -> None:
        optimizer.shadow_copy(model)
        self._pairs = [
            (weight, optimizer.get_slot(weight, "average")) for weight in optimizer._model_weights
        ]

    def begin(self) -> None:
        """Sets the averages to the weights; upstream starts at zero."""
        for weight, average in self._pairs:
            average.assign(weight)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Replaces the weights by the averages within the block, and restores them after it."""
        weights = [weight.numpy() for weight, _ in self._pairs]
        for weight, average in self._pairs:
            weight.assign(average)
        try:
            yield
        finally:
            for (weight, _), value in zip(self._pairs, weights, strict=True):
                weight.assign(value)

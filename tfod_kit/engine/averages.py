"""Averaged weights (EMA): kept by upstream's optimiser beside the weights, measured in their place.

A checkpoint has both, as upstream lays them out: the weights to train on from, and for each the
optimiser's slot "average". Whoever measures or exports takes the averages where there are any.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfod_kit.runs import checkpoint_index
from tfod_kit.runs.checkpoint_index import OBJECT_GRAPH, VALUE

_SLOT = f"/.OPTIMIZER_SLOT/optimizer/average{VALUE}"


def are_in(prefix: Path) -> bool:
    """Whether a checkpoint has averages of its weights."""
    return any(name.endswith(_SLOT) for name in checkpoint_index.read(prefix))


@contextmanager
def deployed(prefix: Path) -> Iterator[Path]:
    """The checkpoint to measure or export: the averages in place of the weights.

    Yields `prefix` itself where it has none, else that of a temporary checkpoint of the model.

    Raises:
      CheckpointError: the checkpoint is damaged.
    """
    if not are_in(prefix):
        yield prefix
        return
    print(f"Taking the averages (EMA) that {prefix} has of its weights", flush=True)
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    known = reader.get_variable_to_shape_map()
    tensors = {OBJECT_GRAPH: tf.constant(reader.get_tensor(OBJECT_GRAPH))}
    for name in known:
        if name.endswith(VALUE) and ".OPTIMIZER_SLOT" not in name:
            slot = name.removesuffix(VALUE) + _SLOT
            tensors[name] = tf.constant(reader.get_tensor(slot if slot in known else name))
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / prefix.name
        tf.raw_ops.SaveV2(
            prefix=str(written),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=list(tensors.values()),
        )
        yield written


class Averages:
    """The averages of a model in training.

    Args:
      optimizer: upstream's ExponentialMovingAverage.
      model: upstream's DetectionModel, its variables made; those that are frozen need none.
    """

    def __init__(self, optimizer: Any, model: Any) -> None:
        optimizer.shadow_copy(model)
        self._pairs = [
            (weight, optimizer.get_slot(weight, "average")) for weight in optimizer._model_weights
        ]

    def begin(self) -> None:
        """Starts them at the weights, where upstream starts at zero."""
        for weight, average in self._pairs:
            average.assign(weight)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Puts the averages in place of the weights for the block, and the weights back."""
        kept = [weight.numpy() for weight, _ in self._pairs]
        for weight, average in self._pairs:
            weight.assign(average)
        try:
            yield
        finally:
            for (weight, _), value in zip(self._pairs, kept, strict=True):
                weight.assign(value)

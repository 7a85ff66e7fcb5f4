"""The loss curves in TensorBoard's files, for runs that upstream's own program trained.

These files are TFRecord files of Event messages, so reading them needs only TensorBoard's message
classes.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfod_kit.compat import engine_packages
from tfod_kit.errors import DataError
from tfod_kit.records import shards
from tfod_kit.runs.training_history import TrainPoint

_FOLDER = "train"
_PATTERN = "events.out.tfevents.*"
_LOSS = "Loss/"
_RATE = "learning_rate"
_SPEED = "steps_per_sec"


def train_points(run: Path) -> tuple[TrainPoint, ...]:
    """The points of a run's TensorBoard files in the order of their steps; empty without files.

    A damaged end, which a killed run leaves, is ignored.
    """
    values: dict[int, dict[str, float]] = defaultdict(dict)
    times: dict[int, float] = {}
    for path in sorted((run / _FOLDER).glob(_PATTERN)):
        for event in _events(path):
            for value in event.summary.value:
                if value.tag.startswith(_LOSS) or value.tag in (_RATE, _SPEED):
                    values[event.step][value.tag] = _number(value)
                    times[event.step] = event.wall_time
    return tuple(
        TrainPoint(
            step,
            {name: number for name, number in scalars.items() if name.startswith(_LOSS)},
            scalars.get(_RATE, 0.0),
            scalars.get(_SPEED),
            time=times[step],
        )
        for step, scalars in sorted(values.items())
        if any(name.startswith(_LOSS) for name in scalars)
    )


def _events(path: Path) -> Iterator[Any]:
    engine_packages.require()
    from tensorboard.compat.proto.event_pb2 import Event

    # A killed run leaves an incomplete last record; all before it are complete.
    with contextlib.suppress(DataError):
        for serialized in shards.read(path):
            yield Event.FromString(serialized)


def _number(value: Any) -> float:
    """The value of a scalar, as TensorFlow 2 (a tensor) or TensorFlow 1 writes it."""
    if value.WhichOneof("value") == "simple_value":
        return float(value.simple_value)
    tensor = value.tensor
    if tensor.float_val:
        return float(tensor.float_val[0])
    import numpy as np

    return float(np.frombuffer(tensor.tensor_content, "<f4")[0]) if tensor.tensor_content else 0.0

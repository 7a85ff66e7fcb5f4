"""One optimiser step: upstream's model, losses, input and optimiser, on every replica.

What goes on between the steps (reports, checkpoints, the end) is engine/trainer.py's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.engine import model as models
from tfod_kit.engine import restore, runtime
from tfod_kit.engine.restore import Restored

TOTAL_LOSS = "Loss/total_loss"
_HASH = "hash"  # object_detection.inputs.HASH_KEY


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step, on the device until it is looked at.

    Attributes:
      losses: name -> scalar, summed over the replicas; TOTAL_LOSS is what was minimised.
      hashes: int32 [images], which images this process gave the step: upstream's hash of each
        source id, `tf.strings.to_hash_bucket_fast(source_id, 1 << 31)` cast to int32.
    """

    losses: Mapping[str, Any]
    hashes: Any


class TrainingStep:
    """A model, its optimiser and its input, ready to step. Made inside the strategy's scope.

    Attributes:
      model: upstream's DetectionModel.
      input: the distributed data set of batches.
      checkpoint: what is saved: upstream's layout, so each side takes up what the other saved.
    """

    def __init__(self, config: Any, config_path: Path, strategy: Any, *, tpu: bool) -> None:
        self._tf = runtime.start()
        from object_detection.builders import optimizer_builder

        self._config = config
        self._config_path = config_path
        self._strategy = strategy
        if tpu and config.train_config.use_bfloat16:
            self._tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
        self.model = models.build(config, is_training=True, where=config_path)
        self._count = self._tf.Variable(
            0,
            trainable=False,
            dtype=self._tf.int64,
            name="global_step",
            aggregation=self._tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        self._optimizer, (rate,) = optimizer_builder.build(
            config.train_config.optimizer, global_step=self._count
        )
        self._learning_rate = rate if callable(rate) else lambda: rate
        self.checkpoint = self._tf.train.Checkpoint(
            step=self._count, model=self.model, optimizer=self._optimizer
        )
        self.input = strategy.distribute_datasets_from_function(self._dataset)
        self._steps = self._tf.function(self._run_steps)

    @property
    def done(self) -> int:
        """The optimiser steps that were taken, over all sessions of the run."""
        return int(self._count)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._learning_rate())

    def resume(self, prefix: Path) -> None:
        """Takes up a run's own checkpoint; what it lacks is only known after the first step."""
        self._prepare()
        self.checkpoint.restore(str(prefix))

    def fine_tune(self) -> Restored:
        """Takes the weights that the config says to start from.

        Raises:
          CheckpointError: the checkpoint is absent, or another model's.
        """
        self._prepare()
        settings = self._config.train_config
        return restore.fine_tune(self.model, settings, self.input, self._config_path)

    def from_scratch(self) -> None:
        """Starts from random weights."""
        self._prepare()

    def run(self, batches: Iterator[Any], count: int) -> Outcome:
        """`count` optimiser steps on every replica; what came of the last."""
        return Outcome(*self._steps(batches, count))

    def first_batch(self, batches: Iterator[Any]) -> Any:
        """This process's first replica's share of a batch, to be looked at."""
        return self._tf.nest.map_structure(
            lambda value: self._strategy.experimental_local_results(value)[0], next(batches)
        )

    def _prepare(self) -> None:
        """Makes the optimiser's averaged copies of the weights, for which these must exist."""
        if not self._config.train_config.optimizer.use_moving_average:
            return
        from object_detection import model_lib_v2

        model_lib_v2._ensure_model_is_built(
            self.model, self.input, self._config.train_config.unpad_groundtruth_tensors
        )
        self._optimizer.shadow_copy(self.model)

    def _run_steps(self, batches: Iterator[Any], count: int) -> tuple[dict[str, Any], Any]:
        for _ in self._tf.range(count - 1):
            self._one_step(next(batches))
        batch = next(batches)
        losses = self._one_step(batch)
        hashes = self._strategy.experimental_local_results(batch[0][_HASH])
        return losses, self._tf.concat(hashes, axis=0)

    def _one_step(self, batch: Any) -> dict[str, Any]:
        losses = self._strategy.run(self._replica_step, args=batch)
        return {
            name: self._strategy.reduce(self._tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in losses.items()
        }

    def _replica_step(self, features: Any, labels: Any) -> dict[str, Any]:
        from object_detection import model_lib_v2

        settings = self._config.train_config
        losses: dict[str, Any] = model_lib_v2.eager_train_step(
            self.model,
            features,
            labels,
            settings.unpad_groundtruth_tensors,
            self._optimizer,
            training_step=self._count,
            add_regularization_loss=settings.add_regularization_loss,
            clip_gradients_value=settings.gradient_clipping_by_norm or None,
            num_replicas=self._strategy.num_replicas_in_sync,
        )
        self._count.assign_add(1)
        return losses

    def _dataset(self, context: Any) -> Any:
        from object_detection import inputs

        return inputs.train_input(
            train_config=self._config.train_config,
            train_input_config=self._config.train_input_reader,
            model_config=self._config.model,
            model=self.model,
            input_context=context,
        ).repeat()

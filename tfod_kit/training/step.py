"""One optimiser step: upstream's model, losses, input and optimiser, on every replica.

What goes on between the steps (reports, checkpoints, the end) is engine/trainer.py's.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfod_kit.engine import averages, restore, runtime
from tfod_kit.engine import model as models
from tfod_kit.engine.averages import Averages
from tfod_kit.engine.restore import Restored
from tfod_kit.training import dataset
from tfod_kit.training.freezing import Frozen, freeze
from tfod_kit.training.gradients import TOTAL_LOSS, Gradients
from tfod_kit.training.step_options import Levers, check

__all__ = ["TOTAL_LOSS", "Outcome", "TrainingStep"]

_AS_CONFIGURED = Levers()
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

    Args:
      config: the pipeline config, as the levers have it (levers.applied).
      config_path: its file, for messages.
      strategy: the tf.distribute strategy.
      levers: how to take the steps; the process is prepared for them (levers.prepare).
      tpu: whether the strategy is a TPU's.

    Attributes:
      model: upstream's DetectionModel.
      input: the distributed data set of batches.
      checkpoint: what is saved: upstream's layout, so each side takes up what the other saved.
    """

    def __init__(
        self,
        config: Any,
        config_path: Path,
        strategy: Any,
        levers: Levers = _AS_CONFIGURED,
        *,
        tpu: bool = False,
    ) -> None:
        self._tf = runtime.start()
        from object_detection.builders import optimizer_builder

        self._config = config
        self._config_path = config_path
        self._strategy = strategy
        self._levers = levers
        check(levers, config)
        dataset.check_memory(levers, config.train_input_reader)
        settings = config.train_config
        if tpu and settings.use_bfloat16:
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
            settings.optimizer, global_step=self._count
        )
        self._rate = rate if callable(rate) else lambda: rate
        self.checkpoint = self._tf.train.Checkpoint(
            step=self._count, model=self.model, optimizer=self._optimizer
        )
        # The scaler is not saved: it finds its scale anew within some steps, and the checkpoint
        # keeps upstream's layout.
        self._scaler = None
        if levers.precision == "float16":
            self._scaler = self._tf.keras.mixed_precision.LossScaleOptimizer(self._optimizer)
        self._gradients = Gradients(
            self.model,
            settings,
            strategy.num_replicas_in_sync,
            self._trainable,
            self._count,
            clip_value=levers.clip_value,
            scaler=self._scaler,
        )
        self.input = strategy.distribute_datasets_from_function(self._dataset)
        self._frozen: Frozen | None = None
        self._averages: Averages | None = None
        self._steps = self._tf.function(self._run_steps)
        self._on_replica = runtime.as_written(self._replica_step)
        if levers.xla:
            self._on_replica = self._tf.function(self._on_replica, jit_compile=True)

    @property
    def done(self) -> int:
        """The optimiser steps that were taken, over all sessions of the run."""
        return int(self._count.read_value().numpy())  # mirrored ones know no int()

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._rate())

    @property
    def images(self) -> str:
        """How many pictures a step takes, for a person."""
        size, batches = self._config.train_config.batch_size, self._levers.accumulate
        return f"batch size {size}" if batches == 1 else f"{batches} batches of {size}"

    def set_learning_rate(self, rate: Any) -> None:
        """Takes a variable's value as the rate of every step, in place of the config's schedule."""
        self._optimizer.learning_rate = rate.read_value
        self._rate = rate.read_value

    def resume(self, prefix: Path) -> None:
        """Takes up a run's own checkpoint; what it lacks is only known after the first step."""
        self._prepare(built=False)
        self.checkpoint.restore(str(prefix))
        if self._averages is not None and not averages.are_in(prefix):
            self._averages.begin()

    def fine_tune(self) -> Restored:
        """Takes the weights that the config says to start from.

        Raises:
          CheckpointError: the checkpoint is absent, or another model's.
        """
        settings = self._config.train_config
        given = runtime.as_written(restore.fine_tune)(
            self.model, settings, self.input, self._config_path
        )
        self._prepare(built=settings.run_fine_tune_checkpoint_dummy_computation)
        if self._averages is not None:
            self._averages.begin()
        return given

    def from_scratch(self) -> None:
        """Starts from random weights."""
        self._prepare(built=False)
        if self._averages is not None:
            self._averages.begin()

    def run(self, batches: Iterator[Any], count: int) -> Outcome:
        """`count` optimiser steps on every replica; what came of the last."""
        return Outcome(*self._steps(batches, count))

    def averaged(self) -> AbstractContextManager[None]:
        """The averages in place of the weights for a block, where there are any (use_moving_average
        or the lever `ema`): for measuring the model."""
        return nullcontext() if self._averages is None else self._averages.used()

    def first_batch(self, batches: Iterator[Any]) -> Any:
        """This process's first replica's share of a batch, to be looked at."""
        return self._tf.nest.map_structure(
            lambda value: self._strategy.experimental_local_results(value)[0], next(batches)
        )

    def _prepare(self, *, built: bool) -> None:
        """Freezes, and makes the averages; for both the variables must be there.

        Raises:
          ConfigError: a pattern to freeze means nothing.
        """
        from object_detection import model_lib_v2

        settings = self._config.train_config
        excluded, included = settings.freeze_variables, settings.update_trainable_variables
        moving = settings.optimizer.use_moving_average
        if not built and (excluded or included or moving or self._levers.accumulate > 1):
            runtime.as_written(model_lib_v2._ensure_model_is_built)(
                self.model, self.input, settings.unpad_groundtruth_tensors
            )
        if excluded or included:
            self._frozen = freeze(self.model, excluded, included, self._config_path)
            print(self._frozen, flush=True)
        if moving:
            self._averages = Averages(self._optimizer, self.model)
            decay = settings.optimizer.moving_average_decay
            print(f"Averaging the weights (decay {decay:g}): the averages are measured", flush=True)

    def _trainable(self) -> list[Any]:
        variables: list[Any] = self.model.trainable_variables
        if self._frozen is None:
            return variables
        return [variable for variable in variables if id(variable) not in self._frozen.ids]

    def _run_steps(self, batches: Iterator[Any], count: int) -> tuple[dict[str, Any], Any]:
        if count > 1:  # a loop in the graph, even one of no rounds, builds the step a second time
            for _ in self._tf.range(count - 1):
                self._one_step(self._next(batches))
        taken = self._next(batches)
        losses = self._one_step(taken)
        hashes = [
            each
            for features, _ in taken
            for each in self._strategy.experimental_local_results(features[_HASH])
        ]
        return losses, self._tf.concat(hashes, axis=0)

    def _next(self, batches: Iterator[Any]) -> list[Any]:
        return [next(batches) for _ in range(self._levers.accumulate)]

    def _one_step(self, batches: list[Any]) -> dict[str, Any]:
        losses = self._strategy.run(self._on_replica, args=(batches,))
        return {
            name: self._strategy.reduce(self._tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in losses.items()
        }

    def _replica_step(self, batches: list[Any]) -> dict[str, Any]:
        losses, pairs = self._gradients.of(batches)
        (self._scaler or self._optimizer).apply_gradients(pairs)
        self._count.assign_add(1)
        return losses

    def _dataset(self, context: Any) -> Any:
        return dataset.build(self._config, self.model, self._levers, context)

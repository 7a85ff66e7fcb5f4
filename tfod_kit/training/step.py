"""One optimiser step: upstream's model, losses, input and optimiser, on every replica.

What happens between the steps (reports, checkpoints, the end) is in training/trainer.py.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tfod_kit.engine import averages, fine_tuning, pruning, quantisation, runtime
from tfod_kit.engine import model as models
from tfod_kit.engine.averages import Averages
from tfod_kit.engine.carry_over import CarryOver
from tfod_kit.engine.model import create_training_variables
from tfod_kit.engine.pruning import Pruning
from tfod_kit.engine.quantisation import Quantisation
from tfod_kit.engine.restore import Restored
from tfod_kit.engine.upstream import Dataset, InputContext, InputReader, Strategy, Tensor, Variable
from tfod_kit.pipeline_config import PipelineConfig
from tfod_kit.training import dataset
from tfod_kit.training.freezing import Frozen, freeze
from tfod_kit.training.gradients import TOTAL_LOSS, Gradients
from tfod_kit.training.mixing import Mixing
from tfod_kit.training.step_options import StepOptions, check

__all__ = ["TOTAL_LOSS", "StepResult", "TrainingStep"]

_DEFAULTS = StepOptions()
Batch: TypeAlias = Tensor  # (features, labels), distributed
_HASH = "hash"  # object_detection.inputs.HASH_KEY


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of a step, which stays on the device until it is read.

    Attributes:
      losses: name -> scalar, summed over the replicas; TOTAL_LOSS is minimised.
      hashes: int32 [images], identifies the images that this process contributed: upstream's hash
        of each source id, `tf.strings.to_hash_bucket_fast(source_id, 1 << 31)` cast to int32.
    """

    losses: Mapping[str, Tensor]
    hashes: Tensor


class TrainingStep:
    """A model with its optimiser and its input. Create it inside the strategy's scope.

    Args:
      config: the pipeline config, with the options applied (step_options.applied).
      config_path: its file, for messages.
      strategy: the tf.distribute strategy.
      options: how to take the steps; step_options.prepare must have been called with them.
      tpu: whether the strategy is a TPU's.

    Attributes:
      model: upstream's DetectionModel.
      input: the distributed data set of batches.
      checkpoint: the tf.train.Checkpoint to save, in upstream's layout.
    """

    _pruning: Pruning | None = None

    def __init__(
        self,
        config: PipelineConfig,
        config_path: Path,
        strategy: Strategy,
        options: StepOptions = _DEFAULTS,
        *,
        tpu: bool = False,
    ) -> None:
        self._tf = runtime.start()
        from object_detection.builders import optimizer_builder

        self._config = config
        self._config_path = config_path
        self._strategy = strategy
        self._mixing = _mixing(options, config)
        reader = config.train_input_reader
        self._options = options = _with_cache(options, reader, strategy, self._mixing)
        check(options, config)
        settings = config.train_config
        if tpu and settings.use_bfloat16:
            self._tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
        self.model = models.build(config, is_training=True, where=config_path)
        self._count = _step_counter()
        self._optimizer, (rate,) = optimizer_builder.build(
            settings.optimizer, global_step=self._count
        )
        self._rate = rate if callable(rate) else lambda: rate
        self._schedule = self._rate
        self._changing_rate: Variable | None = None
        self.checkpoint = self._tf.train.Checkpoint(
            step=self._count, model=self.model, optimizer=self._optimizer
        )
        # The scaler is not saved: it finds its scale again within a few steps, and the checkpoint
        # keeps upstream's layout.
        self._scaler = None
        if options.precision == "float16":
            self._scaler = self._tf.keras.mixed_precision.LossScaleOptimizer(self._optimizer)
        self._gradients = Gradients(
            self.model,
            settings,
            strategy.num_replicas_in_sync,
            self._trainable,
            self._count,
            clip_value=options.clip_value,
            scaler=self._scaler,
        )
        self.input = strategy.distribute_datasets_from_function(self._dataset)
        self._frozen: Frozen | None = None
        self._averages: Averages | None = None
        self._steps = self._tf.function(self._run_steps)
        self._on_replica = runtime.without_autograph(self._replica_step)
        if options.xla:
            self._on_replica = self._tf.function(self._on_replica, jit_compile=True)

    @property
    def done(self) -> int:
        """The number of optimiser steps taken so far, over all sessions of the run."""
        return int(self._count.read_value().numpy())  # mirrored variables do not support int()

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._rate())

    @property
    def images(self) -> str:
        """The number of images in a step, for messages."""
        size, batches = self._config.train_config.batch_size, self._options.accumulate
        return f"batch size {size}" if batches == 1 else f"{batches} batches of {size}"

    def follow_schedule(self, config: PipelineConfig) -> None:
        """Uses the schedule of another config from now on; call it first before the first step.

        A graph keeps the schedule that it was built with. Here the rate is a variable, which gets
        the schedule's value before each call of the graph.
        """
        from object_detection.builders import optimizer_builder

        _, (rate,) = optimizer_builder.build(config.train_config.optimizer, global_step=self._count)
        self._schedule = rate if callable(rate) else lambda: rate
        if self._changing_rate is None:
            self._changing_rate = self._tf.Variable(
                0.0, trainable=False, dtype=self._tf.float32, name="learning_rate"
            )
            self.set_learning_rate(self._changing_rate)

    def set_learning_rate(self, rate: Variable) -> None:
        """Uses the value of a variable as the rate, in place of the config's schedule."""
        self._optimizer.learning_rate = rate.read_value
        self._rate = rate.read_value

    def mix_images(self, on: bool) -> bool:
        """Mixes images from now on if the options ask for it; returns whether this is a change."""
        return self._mixing is not None and self._mixing.switch(on)

    def resume(self, prefix: Path) -> None:
        """Restores a run's own checkpoint; whether it is complete is known after the first step."""
        self._prepare(built=False)
        self.checkpoint.restore(str(prefix))
        if self._averages is not None and not averages.are_in(prefix):
            self._averages.begin()

    def fine_tune(self) -> CarryOver | Restored:
        """Restores the weights of the config's fine_tune_checkpoint, and reports which.

        Raises:
          CheckpointError: the checkpoint is missing or does not fit the model, or the label map
            is not the checkpoint's.
        """
        report = fine_tuning.load(
            self.model, self._config, self.input, self._config_path, self._options.restore
        )
        self._prepare(built=True)
        if self._averages is not None:
            self._averages.begin()
        return report

    def from_scratch(self) -> None:
        """Starts from random weights."""
        self._prepare(built=False)
        if self._averages is not None:
            self._averages.begin()

    def run(self, batches: Iterator[Batch], count: int) -> StepResult:
        """Takes `count` optimiser steps on every replica; returns the result of the last one."""
        if self._changing_rate is not None:
            self._changing_rate.assign(self._schedule())
        return StepResult(*self._steps(batches, count))

    def prune(self, progress: float) -> None:
        """Sets more weights to zero if the options ask for it; call it before each step.

        Args:
          progress: the part of the training that is done, from 0 to 1.
        """
        if self._pruning is not None:
            self._pruning.update(progress)

    def averaged(self) -> AbstractContextManager[None]:
        """Replaces the weights by their averages within a block, to measure the model.

        Does nothing without averages (use_moving_average, or StepOptions.ema).
        """
        return nullcontext() if self._averages is None else self._averages.used()

    def first_batch(self, batches: Iterator[Batch]) -> Batch:
        """The share of this process's first replica in the next batch, to be shown."""
        return self._tf.nest.map_structure(
            lambda value: self._strategy.experimental_local_results(value)[0], next(batches)
        )

    def _prepare(self, *, built: bool) -> None:
        """Prepares what the options ask for and needs existing variables.

        Raises:
          ConfigError: a pattern to freeze matches nothing.
        """
        settings = self._config.train_config
        excluded, included = settings.freeze_variables, settings.update_trainable_variables
        averaging = settings.optimizer.use_moving_average
        several, small = self._options.accumulate > 1, self._options.quantise or self._options.prune
        if not built and (excluded or included or averaging or several or small):
            unpad = settings.unpad_groundtruth_tensors
            create_training_variables(self.model, self.input, unpad=unpad)
        if self._options.quantise:
            quantised = Quantisation(self.model)
            setattr(self.checkpoint, quantisation.NAME, quantised.ranges)
            print(quantised, flush=True)
        if excluded or included:
            self._frozen = freeze(self.model, excluded, included, self._config_path)
            print(self._frozen, flush=True)
        if averaging:
            self._averages = Averages(self._optimizer, self.model)
            decay = settings.optimizer.moving_average_decay
            print(f"Averaging the weights (decay {decay:g}): the averages are measured", flush=True)
        if self._options.prune is not None:
            frozen = self._frozen.ids if self._frozen else frozenset()
            optimizer = self._optimizer if averaging else None
            self._pruning = Pruning(self.model, self._options.prune, frozen, optimizer)
            setattr(self.checkpoint, pruning.NAME, self._pruning.masks)
            print(self._pruning, flush=True)

    def _trainable(self) -> list[Variable]:
        variables = self.model.trainable_variables
        if self._frozen is None:
            return variables
        return [variable for variable in variables if id(variable) not in self._frozen.ids]

    def _run_steps(self, batches: Iterator[Batch], count: int) -> tuple[dict[str, Tensor], Tensor]:
        if count > 1:  # a loop in the graph, even of 0 rounds, builds the step twice
            for _ in self._tf.range(count - 1):
                self._one_step(self._next(batches))
        current = self._next(batches)
        losses = self._one_step(current)
        hashes = [
            each
            for features, _ in current
            for each in self._strategy.experimental_local_results(features[_HASH])
        ]
        return losses, self._tf.concat(hashes, axis=0)

    def _next(self, batches: Iterator[Batch]) -> list[Batch]:
        return [next(batches) for _ in range(self._options.accumulate)]

    def _one_step(self, batches: list[Batch]) -> dict[str, Tensor]:
        losses = self._strategy.run(self._on_replica, args=(batches,))
        if self._pruning is not None:
            self._pruning.apply()
        return {
            name: self._strategy.reduce(self._tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in losses.items()
        }

    def _replica_step(self, batches: list[Batch]) -> dict[str, Tensor]:
        losses, pairs = self._gradients.of(batches)
        (self._scaler or self._optimizer).apply_gradients(pairs)
        self._count.assign_add(1)
        return losses

    def _dataset(self, context: InputContext) -> Dataset:
        return dataset.build(self._config, self.model, self._options, context, self._mixing)


def _step_counter() -> Variable:
    """The variable that counts the steps, 0 at first."""
    tf = runtime.start()
    return tf.Variable(
        0,
        trainable=False,
        dtype=tf.int64,
        name="global_step",
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )


def _mixing(options: StepOptions, config: PipelineConfig) -> Mixing | None:
    """The stage that mixes images, if the options ask for it."""
    if not options.mixing.used:
        return None
    seed = 0 if options.deterministic and options.seed is None else options.seed
    return Mixing(options.mixing, config, seed)


def _with_cache(
    options: StepOptions, reader: InputReader, strategy: Strategy, mixing: Mixing | None
) -> StepOptions:
    """Decides whether images are cached if that is left open, and reports it.

    Raises:
      UsageError: they are to be cached in memory and do not fit.
    """
    if mixing is not None:
        reader = mixing.with_masks(reader)
    alone = strategy.num_replicas_in_sync == 1
    options, note = dataset.settled(options, reader, whole=alone)
    if note:
        print(note, flush=True)
    dataset.check_memory(options, reader)
    return options

"""Takes steps of a run's model with step options, and prints the results as JSON.

A program (arguments: RUN FOLDER), because determinism is enabled for a whole process.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tfod_kit import pipeline_config
from tfod_kit.engine import averages, restore, runtime
from tfod_kit.runs.checkpoint_index import VALUE
from tfod_kit.training import step_options
from tfod_kit.training.gradients import TOTAL_LOSS, Gradients
from tfod_kit.training.step import TrainingStep
from tfod_kit.training.step_options import StepOptions

STEPS = 3
DECAY = 0.9
FROZEN = "_feature_extractor/classification_backbone/layer_with_weights-1/"  # a normalisation
OPTIONS = StepOptions(
    batch_size=2, accumulate=2, ema=DECAY, freeze=(FROZEN,), clip_norm=1.0, seed=5,
    deterministic=True, cache="memory", input_workers=1,
)  # fmt: skip


def main(run: Path, folder: Path) -> None:
    config = pipeline_config.load(run / "pipeline.config")
    batches = iter((step := begin(run, config)).input)
    once = [float(step.run(batches, 1).losses[TOTAL_LOSS]) for _ in range(STEPS)]
    step = begin(run, config)
    results = {"once": once} | averaging(step, folder)
    for layer in step.model.submodules:
        if hasattr(layer, "moving_mean"):
            layer._training = False  # so that a batch can be split
    print(json.dumps(results | gradients(step)))


def begin(run: Path, original: Any) -> TrainingStep:
    """A training at its beginning."""
    step_options.prepare(OPTIONS)
    config = step_options.applied(OPTIONS, original)
    strategy = runtime.start().distribute.get_strategy()
    step = TrainingStep(config, run / "pipeline.config", strategy, OPTIONS)
    step.from_scratch()
    return step


def averaging(step: TrainingStep, folder: Path) -> dict[str, Any]:
    """Trains; reports frozen variables, the averages of one weight, and the checkpoint."""
    before = {name: value.numpy() for name, value in restore.named_variables(step.model)}
    name, weight = next(
        (name, value)
        for name, value in restore.named_variables(step.model)
        if value.trainable and "_box_predictor" in name
    )
    expected = weight.numpy()
    batches = iter(step.input)
    losses = []
    for number in range(1, STEPS + 1):
        losses.append(float(step.run(batches, 1).losses[TOTAL_LOSS]))
        decay = min(DECAY, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * weight.numpy()
    trained = weight.numpy()
    with step.averaged():
        used = weight.numpy()
    after = {name: value.numpy() for name, value in restore.named_variables(step.model)}
    prefix = Path(step.checkpoint.save(str(folder / "ckpt")))
    with averages.deployed(prefix) as deployed:
        reader = runtime.start().train.load_checkpoint(str(deployed))
        stored = reader.get_tensor(name + VALUE)
    return {
        "again": losses,
        "moved": sorted(key for key in before if not np.array_equal(before[key], after[key])),
        "all": sorted(before),
        "average_error": float(abs(used - expected).max()),
        "average_distance": float(abs(used - trained).max()),
        "put_back": bool(np.array_equal(weight.numpy(), trained)),
        "deployed_error": float(abs(stored - used).max()),
        "done": step.done,
    }


def gradients(step: TrainingStep) -> dict[str, Any]:
    """How much gradients of a batch of four differ: upstream's, ours, ours in two halves."""
    tf = runtime.start()
    batches = iter(step.input)
    halves = [next(batches) for _ in range(2)]
    whole = tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *halves)
    theirs = tf.function(lambda: _by_upstream(step, *whole))()
    ours = tf.function(lambda: _by_us(step, [whole]))()
    split = tf.function(lambda: _by_us(step, halves))()
    return {"ours": _largest(theirs, ours), "split": _largest(theirs, split)}


def _by_upstream(step: TrainingStep, features: Any, labels: Any) -> dict[str, Any]:
    from object_detection import model_lib_v2

    recorder = _Recorder()
    settings = step._config.train_config
    model_lib_v2.eager_train_step(
        step.model, features, labels, settings.unpad_groundtruth_tensors, recorder, 0,
        clip_gradients_value=None,
    )  # fmt: skip
    return recorder.gradients


def _by_us(step: TrainingStep, batches: list[Any]) -> dict[str, Any]:
    settings = pipeline_config.copy_of(step._config.train_config)
    settings.gradient_clipping_by_norm = 0
    taken = Gradients(step.model, settings, 1, lambda: step.model.trainable_variables, 0)
    return {variable.name: value for value, variable in taken.of(batches)[1] if value is not None}


class _Recorder:
    """Replaces an optimiser: records the gradients."""

    def apply_gradients(self, pairs: Any) -> None:
        self.gradients = {variable.name: value for value, variable in pairs if value is not None}


def _largest(theirs: dict[str, Any], ours: dict[str, Any]) -> float:
    if set(theirs) != set(ours):
        return float("inf")
    return max(
        float(
            abs(theirs[name] - ours[name]).numpy().max() / (abs(theirs[name]).numpy().max() + 1e-3)
        )
        for name in theirs
    )


main(Path(sys.argv[1]), Path(sys.argv[2]))

"""The learning-rate schedule of a config.

A schedule longer than the training never decays, and one that is shorter trains on at a rate of
zero (upstream's cosine is 0 past `total_steps`). So the schedule always follows num_steps.
"""

from typing import Any

from tfod_kit.errors import ConfigError
from tfod_kit.pipeline_config.messages import PipelineConfig, Schedule

_PEAKS = ("learning_rate_base", "initial_learning_rate", "learning_rate")
_OTHER_RATES = ("warmup_learning_rate", "burnin_learning_rate", "min_learning_rate")


def learning_rate(config: PipelineConfig) -> float:
    """The highest rate of the schedule, which is commonly called "the" learning rate.

    Raises:
      ConfigError: the config has no optimizer or no schedule.
    """
    return max(_rates(_schedule(config)))


def set_learning_rate(config: PipelineConfig, rate: float) -> None:
    """Sets the highest rate of the schedule, in place; the others keep their ratio to it.

    Raises:
      ConfigError: the config has no schedule, or its rate is 0.
    """
    present = learning_rate(config)
    if present <= 0:
        raise ConfigError(
            "The config's learning rate is 0, so nothing would be learned.",
            where="train_config.optimizer",
            fix="Give the base config a schedule with a rate above 0.",
        )
    scale_learning_rate(config, rate / present)


def scale_learning_rate(config: PipelineConfig, factor: float) -> None:
    """Multiplies every rate of the schedule, warm-up included, in place."""
    schedule = _schedule(config)
    for name in (_peak(schedule), *_OTHER_RATES):
        if name in schedule.DESCRIPTOR.fields_by_name:
            setattr(schedule, name, getattr(schedule, name) * factor)
    for entry in getattr(schedule, "schedule", ()):
        entry.learning_rate *= factor


def rescale_schedule(config: PipelineConfig, steps: int) -> None:
    """Sets num_steps, and stretches the learning-rate schedule to it, in place.

    Args:
      config: the config to change. If it has no num_steps, the schedule's own length is used.
      steps: the number of training steps, at least 1.
    """
    schedule = _schedule(config)
    before = config.train_config.num_steps or _length(_kind(config), schedule) or steps
    _STRETCH[_kind(config)](schedule, before, steps)
    config.train_config.num_steps = steps


def _stretch_constant(schedule: Schedule, before: int, steps: int) -> None:
    del schedule, before, steps  # the same at every step


def _stretch_cosine(schedule: Schedule, before: int, steps: int) -> None:
    # By its own total, since total_steps and num_steps may differ in the base config.
    before = schedule.total_steps if schedule.HasField("total_steps") else before
    share = steps / before
    schedule.total_steps = steps
    # If warm-up and hold add up to the total, upstream divides by zero and the loss is NaN.
    schedule.warmup_steps = min(round(schedule.warmup_steps * share), (steps - 1) // 2)
    if schedule.HasField("hold_base_rate_steps"):
        room = steps - 1 - schedule.warmup_steps
        schedule.hold_base_rate_steps = min(round(schedule.hold_base_rate_steps * share), room)


def _stretch_exponential(schedule: Schedule, before: int, steps: int) -> None:
    schedule.decay_steps = max(round(schedule.decay_steps * steps / before), 1)
    if schedule.HasField("burnin_steps"):
        schedule.burnin_steps = round(schedule.burnin_steps * steps / before)


def _stretch_manual(schedule: Schedule, before: int, steps: int) -> None:
    # Upstream requires strictly increasing boundaries above 0. Entries beyond the end of a short
    # training would never be reached, and are removed.
    entries = [
        (round(entry.step * steps / before), entry.learning_rate) for entry in schedule.schedule
    ]
    del schedule.schedule[:]
    last = 0
    for step, rate in entries:
        last = max(step, last + 1)
        if last <= steps or not schedule.schedule:
            schedule.schedule.add(step=last, learning_rate=rate)


_STRETCH = {
    "constant_learning_rate": _stretch_constant,
    "exponential_decay_learning_rate": _stretch_exponential,
    "manual_step_learning_rate": _stretch_manual,
    "cosine_decay_learning_rate": _stretch_cosine,
}


def _length(kind: str, schedule: Schedule) -> int | None:
    if kind == "cosine_decay_learning_rate":
        return int(schedule.total_steps)
    return None


def _rates(schedule: Schedule) -> list[float]:
    stepped = [entry.learning_rate for entry in getattr(schedule, "schedule", ())]
    return [getattr(schedule, _peak(schedule)), *stepped]


def _peak(schedule: Schedule) -> str:
    """The field with the schedule's main rate; its name depends on the kind of schedule."""
    return next(name for name in _PEAKS if name in schedule.DESCRIPTOR.fields_by_name)


def _kind(config: PipelineConfig) -> str:
    return str(_rate_message(config).WhichOneof("learning_rate"))


def _schedule(config: PipelineConfig) -> Schedule:
    schedule: Schedule = getattr(_rate_message(config), _kind(config))
    return schedule


def _rate_message(config: PipelineConfig) -> Any:
    optimizer = config.train_config.optimizer
    chosen = optimizer.WhichOneof("optimizer")
    rate = getattr(optimizer, chosen).learning_rate if chosen else None
    if rate is None or rate.WhichOneof("learning_rate") is None:
        raise ConfigError(
            "The config has no learning-rate schedule.",
            where="train_config.optimizer",
            expected="an optimizer with one, such as cosine_decay_learning_rate { }",
            found=chosen or "no optimizer",
            fix="Add it to the base config, or start from `tfod configure MODEL`.",
        )
    return rate

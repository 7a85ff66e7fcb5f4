"""Variables that shall not change: which the patterns mean, and the layers they stop.

Upstream's TensorFlow 2 loop reads neither `freeze_variables` nor `update_trainable_variables`. What
they mean is its TensorFlow 1 loop's: regular expressions of names; here anywhere in the name, and
the name that Keras gives a variable serves as well as the one that it is saved under.
"""

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tfod_kit.engine import restore
from tfod_kit.errors import ConfigError

_NEAR = 5  # names in a message


@dataclass(frozen=True, slots=True)
class Frozen:
    """What was chosen.

    Attributes:
      ids: `id` of every variable that shall stay.
      names: those that a training would else have changed, as in a checkpoint.
      numbers: how many numbers these hold.
      of: how many numbers are trained without freezing.
      stopped: batch normalisations whose averages stay too.
    """

    ids: frozenset[int]
    names: tuple[str, ...]
    numbers: int
    of: int
    stopped: int

    def __str__(self) -> str:
        share = 100 * self.numbers / self.of
        counts = Counter(name.split("/")[0] for name in self.names)
        parts = ", ".join(f"{part} ({count})" for part, count in counts.items())
        text = (
            f"Frozen: {len(self.names)} variables, {self.numbers:,} of {self.of:,} numbers "
            f"({share:.0f}%): {parts}"
        )
        if self.stopped:
            text += f"\n  with the averages of {self.stopped} batch normalisations"
        return text


def freeze(model: Any, excluded: Sequence[str], included: Sequence[str], where: object) -> Frozen:
    """Chooses the variables that stay, and stops the batch normalisations that lie among them.

    Args:
      model: upstream's DetectionModel, its variables made.
      excluded: patterns of variables that stay: freeze_variables.
      included: patterns of the only ones that change, where there are any:
        update_trainable_variables.
      where: the config's file, for the message.

    Raises:
      ConfigError: a pattern means no variable, or nothing is left to train.
    """
    names = _names(model)
    trainable = {id(variable): variable for variable in model.trainable_variables}
    for pattern in (*excluded, *included):
        _check(pattern, [both for key, both in names.items() if key in trainable], where)
    ids = frozenset(
        key
        for key, both in names.items()
        if _means(excluded, both) or (included and not _means(included, both))
    )
    chosen = [key for key in names if key in ids and key in trainable]
    if len(chosen) == len(trainable):
        raise ConfigError(
            "Everything is frozen: nothing would be trained.",
            where=where,
            found=", ".join([*excluded, *included]),
            fix="Freeze a part, such as --freeze _feature_extractor.",
        )
    stopped = [
        layer
        for layer in model.submodules
        if hasattr(layer, "moving_mean")
        and all(id(variable) in ids for variable in layer.variables)
    ]
    for layer in stopped:
        layer.trainable = False  # which alone stops the averages of TensorFlow 2's own layer
        layer._training = False  # and this, those of upstream's FreezableBatchNorm
    return Frozen(
        ids=ids,
        names=tuple(names[key][0] for key in chosen),
        numbers=sum(_size(trainable[key]) for key in chosen),
        of=sum(map(_size, trainable.values())),
        stopped=len(stopped),
    )


def _names(model: Any) -> dict[int, tuple[str, str]]:
    """id of a variable -> its name in a checkpoint, without "model/", and in Keras."""
    return {
        id(variable): (name.removeprefix("model/"), variable.name.removesuffix(":0"))
        for name, variable in restore.named_variables(model)
    }


def _means(patterns: Iterable[str], names: Iterable[str]) -> bool:
    return any(re.search(pattern, name) for pattern in patterns for name in names)


def _check(pattern: str, known: list[tuple[str, str]], where: object) -> None:
    """Raises ConfigError for a pattern that no variable's name has."""
    try:
        if any(_means([pattern], both) for both in known):
            return
    except re.error as error:
        raise ConfigError(
            f"A pattern of variables to freeze is no regular expression: {error}.",
            where=where,
            found=repr(pattern),
        ) from None
    raise ConfigError(
        "A pattern of variables to freeze means none of this model's.",
        where=where,
        found=repr(pattern),
        expected=f"a part of a name, such as {', '.join(_near(pattern, known))}",
        fix="Name a part (--freeze _feature_extractor), a layer or a variable; names of "
        "TensorFlow 1 ('FeatureExtractor/MobilenetV2') are others on TensorFlow 2.",
    )


def _near(pattern: str, known: list[tuple[str, str]]) -> list[str]:
    """The names nearest to a pattern; the model's parts where none is near."""
    letters = {name.lower(): name for both in known for name in (*both, *_layers(both))}
    near = difflib.get_close_matches(pattern.lower(), letters, n=_NEAR, cutoff=0.5)
    if near:
        return [letters[name] for name in near]
    return sorted({both[0].split("/")[0] for both in known})


def _layers(names: Iterable[str]) -> Iterable[str]:
    """The parts of names that one would give to mean a layer: Conv1 of Conv1/kernel."""
    return {part for name in names for part in name.split("/")}


def _size(variable: Any) -> int:
    return math.prod(variable.shape)

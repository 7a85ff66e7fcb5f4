"""Freezes variables: chooses them by patterns, and stops the layers that they belong to.

Upstream's TensorFlow 2 loop reads neither `freeze_variables` nor `update_trainable_variables`. As
in its TensorFlow 1 loop they are regular expressions of names. Here they match anywhere in the
name, either the name in a checkpoint or the one that Keras gives a variable.
"""

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tfod_kit.engine import restore
from tfod_kit.engine.upstream import DetectionModel, Variable
from tfod_kit.errors import ConfigError

_NEAR = 5  # names in a message


@dataclass(frozen=True, slots=True)
class Frozen:
    """The frozen variables.

    Attributes:
      ids: `id` of every variable that must not change.
      names: those of them that would otherwise be trained, as in a checkpoint.
      numbers: how many numbers these contain.
      total: how many numbers are trained without freezing.
      stopped: how many batch normalisations keep their averages too.
    """

    ids: frozenset[int]
    names: tuple[str, ...]
    numbers: int
    total: int
    stopped: int

    def __str__(self) -> str:
        share = 100 * self.numbers / self.total
        counts = Counter(name.split("/")[0] for name in self.names)
        parts = ", ".join(f"{part} ({count})" for part, count in counts.items())
        text = (
            f"Frozen: {len(self.names)} variables, {self.numbers:,} of {self.total:,} numbers "
            f"({share:.0f}%): {parts}"
        )
        if self.stopped:
            text += f"\n  with the averages of {self.stopped} batch normalisations"
        return text


def freeze(
    model: DetectionModel, excluded: Sequence[str], included: Sequence[str], where: object
) -> Frozen:
    """Chooses the frozen variables, and stops batch normalisations that are frozen completely.

    Args:
      model: upstream's DetectionModel, whose variables exist.
      excluded: patterns of frozen variables: freeze_variables.
      included: if there are any, all variables that match none of these patterns are frozen too:
        update_trainable_variables.
      where: the config's file, for messages.

    Raises:
      ConfigError: a pattern matches no variable, or nothing is left to train.
    """
    names = _names(model)
    trainable = {id(variable): variable for variable in model.trainable_variables}
    for pattern in (*excluded, *included):
        _check(pattern, [both for key, both in names.items() if key in trainable], where)
    ids = frozenset(
        key
        for key, both in names.items()
        if _match(excluded, both) or (included and not _match(included, both))
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
        layer.trainable = False  # stops the averages of TensorFlow 2's own layer
        layer._training = False  # stops those of upstream's FreezableBatchNorm
    return Frozen(
        ids=ids,
        names=tuple(names[key][0] for key in chosen),
        numbers=sum(_size(trainable[key]) for key in chosen),
        total=sum(map(_size, trainable.values())),
        stopped=len(stopped),
    )


def _names(model: DetectionModel) -> dict[int, tuple[str, str]]:
    """id of a variable -> its name in a checkpoint, without "model/", and its name in Keras."""
    return {
        id(variable): (name.removeprefix("model/"), variable.name.removesuffix(":0"))
        for name, variable in restore.named_variables(model)
    }


def _match(patterns: Iterable[str], names: Iterable[str]) -> bool:
    return any(re.search(pattern, name) for pattern in patterns for name in names)


def _check(pattern: str, known: list[tuple[str, str]], where: object) -> None:
    """Raises ConfigError if a pattern matches no variable."""
    try:
        if any(_match([pattern], both) for both in known):
            return
    except re.error as error:
        raise ConfigError(
            f"A pattern of variables to freeze is not a regular expression: {error}.",
            where=where,
            found=repr(pattern),
        ) from None
    raise ConfigError(
        "A pattern of variables to freeze matches no variable of this model.",
        where=where,
        found=repr(pattern),
        expected=f"a part of a name, such as {', '.join(_near(pattern, known))}",
        fix="Name a part (--freeze _feature_extractor), a layer or a variable; names of "
        "TensorFlow 1 ('FeatureExtractor/MobilenetV2') differ from those of TensorFlow 2.",
    )


def _near(pattern: str, known: list[tuple[str, str]]) -> list[str]:
    """The names that are most similar to a pattern; the parts of the model if none is similar."""
    originals = {name.lower(): name for both in known for name in (*both, *_layers(both))}
    near = difflib.get_close_matches(pattern.lower(), originals, n=_NEAR, cutoff=0.5)
    if near:
        return [originals[name] for name in near]
    return sorted({both[0].split("/")[0] for both in known})


def _layers(names: Iterable[str]) -> Iterable[str]:
    """The parts of names that may name a layer: Conv1 of Conv1/kernel."""
    return {part for name in names for part in name.split("/")}


def _size(variable: Variable) -> int:
    return math.prod(variable.shape)

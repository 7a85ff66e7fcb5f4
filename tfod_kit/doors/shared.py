"""What several verbs share: the options that choose classes, and where a run's config is."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit import pipeline_config
from tfod_kit.doors.arguments import Group, option
from tfod_kit.errors import UsageError

if TYPE_CHECKING:
    from tfod_kit.datasets.class_selection import Selection

CONFIG = pipeline_config.FILE_NAME
CLASSES = Group("classes", "named as the data set has them; repeatable")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassArguments:
    """The options that choose, rename and merge classes."""

    include: tuple[str, ...] = option(
        (), "keep only these", repeat=True, metavar="A,B", group=CLASSES
    )
    exclude: tuple[str, ...] = option(
        (), "leave these out", repeat=True, metavar="A,B", group=CLASSES
    )
    rename: tuple[str, ...] = option(
        (), "give a class another name", repeat=True, metavar="OLD=NEW", group=CLASSES
    )
    merge: tuple[str, ...] = option(
        (), "make several classes one", repeat=True, metavar="A,B=NEW", group=CLASSES
    )
    drop_emptied: bool = option(
        False,
        "leave out images that lose all their objects, rather than keep them as negatives",
        group=CLASSES,
    )


def selection(arguments: ClassArguments) -> "Selection":
    """The class selection that the options describe.

    Raises:
      UsageError: an option is invalid, or they contradict each other.
    """
    from tfod_kit.datasets import class_selection

    return class_selection.parse(
        arguments.include,
        arguments.exclude,
        arguments.rename,
        arguments.merge,
        drop_emptied=arguments.drop_emptied,
    )


def config_path(run: Path) -> Path:
    """The pipeline.config of a run folder, or the file itself.

    Raises:
      UsageError: it does not exist.
    """
    path = run / CONFIG if run.is_dir() else run
    if not path.is_file():
        raise UsageError(
            f"The run has no {CONFIG}.",
            where=path,
            fix=f"Write one: tfod configure MODEL --records FOLDER --out {run}",
        )
    return path

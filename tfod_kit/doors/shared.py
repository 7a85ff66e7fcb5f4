"""What several verbs share: the data set to read, what was found in it, and a run's config."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfod_kit import pipeline_config
from tfod_kit.doors import values
from tfod_kit.doors.arguments import Group, local_name, local_path, option, positional
from tfod_kit.errors import UsageError
from tfod_kit.formats import AUTO, FORMATS, csv
from tfod_kit.formats.base import ROTATED_BOXES, RotatedBoxes

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceArguments(ClassArguments):
    """The data set to read, and how."""

    source: tuple[Path, ...] = positional(
        "the data set's folder or annotation file, or a folder of records; several are merged",
        parse=local_path,
        nargs="+",
        metavar="SOURCE",
    )
    format: str = option(AUTO, lambda: f"{AUTO}, {', '.join(FORMATS)}", metavar="FORMAT")
    images: Path | None = option(
        None, "the folder of the images (default: SOURCE)", parse=local_path, metavar="DIR"
    )
    follow_links: bool = option(
        False, "follow symbolic links that lead out of the data set's folder"
    )
    label_map: str | None = option(
        None,
        "a label map, or the name of a standard one (coco_2017)",
        metavar="FILE",
        parse=local_name,
    )
    origin: int = option(
        0, "VOC, CSV: the number of the first pixel", parse=values.whole, choices=(0, 1)
    )
    columns: tuple[str, ...] = option(
        (),
        f"CSV: what is in which column, if the header's names are unusual; {', '.join(csv.ROLES)}",
        repeat=True,
        metavar="image=A,class=B,xmin=C",
    )
    obb: RotatedBoxes = option(
        "box",
        "what rotated boxes become: the box around each, or a mask too",
        choices=ROTATED_BOXES,
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


def read_as(format: str, known_by: str) -> str:
    """The formats that a data set was read as, and what they were recognised by.

    Args:
      format: keys of FORMATS, joined by "+".
      known_by: empty if the format was named.
    """
    title = " and ".join(FORMATS[name].title for name in format.split("+"))
    return f"Read as {title} ({known_by})." if known_by else f"Read as {title}."


def finding_lines(findings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Two lines for each reason code: how often and what, and an example."""
    lines = []
    for code, finding in findings.items():
        left_out = "left out: " if finding["severity"] == "ambiguous" else ""
        lines.append(f"  {finding['count']:>7,}  {left_out}{finding['text']} [{code}]")
        lines.append(f"           such as {finding['examples'][0]}")
    return lines


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

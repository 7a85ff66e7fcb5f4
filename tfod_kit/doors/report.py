"""`tfod report` and `tfod_kit.report`: one page with all that is known of a run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfod_kit.doors import arguments
from tfod_kit.doors.arguments import StrPath, local_path, option, positional

if TYPE_CHECKING:
    from tfod_kit.reports.writing import ReportPage


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportArguments:
    """The arguments of `tfod report`; each is explained by its help."""

    run: Path = positional("the folder that was trained in", parse=local_path)
    out: Path | None = option(
        None, "the page to write (default: RUN/report.html)", parse=local_path, metavar="FILE"
    )


def report(run_folder: StrPath, **options: object) -> "ReportPage":
    """Writes one page with all that is known of a run; it needs no network.

    Args:
      run_folder: the folder that was trained in.
      options: those of `tfod report`, such as out="report.html".

    Raises:
      UsageError: an option is unknown, or the folder is not a run's.
    """
    return run(arguments.build("report", ReportArguments, {"run": run_folder, **options}))


def run(arguments: ReportArguments) -> "ReportPage":
    """Writes the page as `tfod report` with these arguments does."""
    from tfod_kit.reports import writing

    return writing.write_page(arguments.run, arguments.out)

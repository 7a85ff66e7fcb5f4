"""`tfod report` and `tfod_kit.report`: one page with all that is known of a run."""

from dataclasses import dataclass
from pathlib import Path

from tfod_kit.doors import arguments
from tfod_kit.doors.arguments import StrPath, option, positional
from tfod_kit.drawing import notebook

NAME = "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportArguments:
    """The arguments of `tfod report`; each is explained by its help."""

    run: Path = positional("the folder that was trained in", parse=Path)
    out: Path | None = option(
        None, f"the page to write (default: RUN/{NAME})", parse=Path, metavar="FILE"
    )


@dataclass(frozen=True, slots=True)
class Reported:
    """The page of a run; the result itself can be used as the path of the file."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return f"Open {self.path}"

    def _repr_html_(self) -> str:
        return notebook.embedded(self.path.read_text("utf-8"), "the report of the run")


def report(run_folder: StrPath, **options: object) -> Reported:
    """Writes one page with all that is known of a run; it needs no network.

    Args:
      run_folder: the folder that was trained in.
      options: those of `tfod report`, such as out="report.html".

    Raises:
      UsageError: an option is unknown, or the folder is not a run's.
    """
    return run(arguments.build("report", ReportArguments, {"run": run_folder, **options}))


def run(arguments: ReportArguments) -> Reported:
    """Writes the page as `tfod report` with these arguments does."""
    from tfod_kit import reports
    from tfod_kit.io import files
    from tfod_kit.reports import page

    found = reports.read(arguments.run)
    out = arguments.out or arguments.run / NAME
    if out.is_dir():
        out = out / NAME
    files.write_text(out, page.html(found))
    return Reported(out)

"""One row of the doctor's report, and the summary of all of them."""

from dataclasses import dataclass

from tfod_kit.core.wording import counted

OK = "ok"
WARNING = "warning"
ERROR = "error"

INSTALL_ENGINE = "`tfod setup` installs one set of versions that was tested."
# Without its dependencies, one of which cannot be installed everywhere.
REINSTALL_UPSTREAM = (
    "`pip install --force-reinstall --no-deps tf-models-research-object-detection==2.8.0.post1`."
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One row of the report.

    Attributes:
      name: what was examined.
      value: what was found.
      level: OK, WARNING (works, with a drawback) or ERROR (training or export will fail).
      fix: what to do; empty if nothing is wrong.
    """

    name: str
    value: str
    level: str = OK
    fix: str = ""


def verdict(diagnoses: list[Diagnosis]) -> str:
    """A one-line summary."""
    errors = sum(row.level == ERROR for row in diagnoses)
    warnings = sum(row.level == WARNING for row in diagnoses)
    if errors:
        return f"{counted(errors, 'error')} to fix before training."
    if warnings:
        return f"Ready, with {counted(warnings, 'warning')}."
    return "Ready."

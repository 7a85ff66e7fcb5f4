"""`tfod doctor`: the environment as rows, each with its judgement and fix, and a verdict."""

import argparse
import dataclasses
import json

from tfod_kit import doctor

_STYLES = {doctor.OK: "green", doctor.WARNING: "yellow", doctor.ERROR: "bold red"}
_NAME_WIDTH = 36  # tf-models-research-object-detection


def register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fast", action="store_true", help="skip what needs TensorFlow (about ten seconds)"
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")


def run(args: argparse.Namespace) -> int:
    """Returns 1 if a row is an error, and 0 otherwise."""
    findings = []
    for finding in doctor.examine(fast=args.fast):
        findings.append(finding)
        if not args.json:
            _show(finding)
    if args.json:
        rows = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"verdict": doctor.verdict(findings), "rows": rows}, indent=2))
    else:
        print(f"\n{doctor.verdict(findings)}")
    return int(any(finding.level == doctor.ERROR for finding in findings))


def _show(finding: doctor.Diagnosis) -> None:
    """Prints a row at once, since the later ones take seconds."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    row = Text(f"{finding.level:<8}", style=_STYLES[finding.level])
    row.append(f"{finding.name:<{_NAME_WIDTH}} {finding.value}", style="none")
    console.print(row)
    if finding.fix:
        console.print(Text(f"{'':<8}{'':<{_NAME_WIDTH}} -> {finding.fix}"))

"""`tfod check TARGET`: what would fail or mislead, found before any training."""

import argparse
from collections.abc import Iterable

from tfod_kit.checks.findings import Finding, Level
from tfod_kit.doors import arguments, check
from tfod_kit.doors.check import CheckArguments, Checked

_STYLES = {Level.ERROR: "bold red", Level.WARNING: "yellow", Level.NOTE: "cyan"}


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_to(parser, CheckArguments)


def run(args: argparse.Namespace) -> int:
    """Prints the findings; returns 0 if none is an error, and 1 otherwise."""
    result = check.run(arguments.parsed(CheckArguments, args))
    if args.json:
        print(result.as_json())
    else:
        _print(result)
    return 0 if result.ok else 1


def show(findings: Iterable[Finding]) -> None:
    """Prints each finding, with its level in colour on a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        head = Text(f"{finding.level:<8} ", style=_STYLES[finding.level])
        head.append("\n".join(check.lines(finding)), style="none")
        console.print(head)


def _print(result: Checked) -> None:
    for line in result.records:
        print(line)
    if result.records:
        print()
    show(result.findings)
    print(check.verdict(result.findings))

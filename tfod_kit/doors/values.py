"""What the values of options look like: functions that turn their text into the value.

Each raises argparse.ArgumentTypeError for an invalid text, as argparse and `arguments` expect.
"""

import argparse
import math
import re
from typing import Literal

AUTO = "auto"


def count(text: str) -> int:
    """A whole number of 1 or more."""
    number = whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def ten_or_more(text: str) -> int:
    """A whole number of 10 or more."""
    number = whole(text)
    if number < 10:
        raise argparse.ArgumentTypeError(f"{number} is below 10")
    return number


def whole(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def auto_or_count(text: str) -> int | Literal["auto"]:
    """A whole number of 1 or more, or "auto"."""
    if text == AUTO:
        return "auto"
    try:
        return count(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}; {AUTO} is allowed too") from None


def share(text: str) -> float:
    """A number in [0, 1]."""
    number = _number(text)
    if not 0.0 <= number <= 1.0:
        raise argparse.ArgumentTypeError(f"{number} is not between 0 and 1")
    return number


def decay(text: str) -> float:
    """A number in (0, 1), the ends excluded."""
    number = share(text)
    if number in (0.0, 1.0):
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


def sparsity(text: str) -> float | Literal["2:4"]:
    """A number in (0, 1), the ends excluded, or "2:4"."""
    if text == "2:4":
        return "2:4"
    try:
        return decay(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}; 2:4 is allowed too") from None


def not_negative(text: str) -> float:
    """A finite number of 0 or more."""
    number = _number(text)
    if not 0.0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not 0 or more")
    return number


def positive(text: str) -> float:
    """A finite number above 0."""
    number = _number(text)
    if not 0.0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def names(text: str) -> tuple[str, ...]:
    """The names of a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def counts(text: str) -> tuple[int, ...]:
    """The whole numbers of a comma-separated list, each once."""
    return tuple(dict.fromkeys(count(part) for part in text.split(",")))


def square_or_sides(text: str) -> tuple[int, int]:
    """The two sides of "HxW", or of the square "N"."""
    parts = text.lower().split("x")
    if len(parts) > 2:
        raise argparse.ArgumentTypeError(f"{text!r} is neither N nor HxW")
    sides = [count(part) for part in parts]
    return sides[0], sides[-1]


def width_and_height(text: str) -> tuple[int, int]:
    """The width and height of "WxH"."""
    width, _, height = text.lower().partition("x")
    return count(width), count(height)


def pattern(text: str) -> str:
    """A regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from None
    return text


def steps_or_epochs(text: str) -> tuple[float, Literal["steps", "epochs"]]:
    """The number and unit of "500", "500steps", "1epoch" or "0.5epochs"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(steps?|epochs?)?", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is neither steps (500) nor epochs (1epoch)")
    if (match[2] or "step").startswith("epoch"):
        return float(match[1]), "epochs"
    return float(count(match[1])), "steps"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None

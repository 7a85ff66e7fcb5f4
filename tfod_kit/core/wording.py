"""Words for messages."""


def counted(number: int, what: str) -> str:
    """A number with its noun, such as "1 error" and "2 errors"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"

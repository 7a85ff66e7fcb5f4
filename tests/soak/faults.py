"""What a trial counts, and what it reports if something broke."""

import hashlib
from collections import Counter
from pathlib import Path

Counts = Counter[str]


class Fault(Exception):
    """Something broke: its kind ("torn", "tracebacks", "hangs" or "escapes") and the details."""

    def __init__(self, kind: str, details: str) -> None:
        super().__init__(f"{kind}: {details}")
        self.kind = kind
        self.details = details


def listing(folder: Path) -> str:
    """A digest of the names of all files below a folder."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    return hashlib.sha256("\n".join(names).encode(errors="replace")).hexdigest()

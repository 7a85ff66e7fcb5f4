"""Every row of docs/troubleshooting.md has a state and a test."""

import re
from pathlib import Path

TABLE = Path(__file__).parent.parent.parent / "docs" / "troubleshooting.md"
STATES = {"prevented", "found", "explained"}


def test_every_row_has_a_state_and_a_test() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+)", TABLE.read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 41))
    assert {state for _, state in rows} <= STATES
    sources = [path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    tested = {
        int(number) for text in sources for number in re.findall(r"^def test_(\d\d)_", text, re.M)
    }
    assert tested == set(range(1, 41))

"""The table of annotation formats: those of this package, and those of installed extensions."""

from collections.abc import Iterator, Mapping
from functools import cached_property

from tfod_kit.errors import SetupError
from tfod_kit.formats.base import Format
from tfod_kit.io import plugins

AUTO = "auto"


class FormatTable(Mapping[str, Format]):
    """Formats by name. Extensions follow the formats of this package, in alphabetic order.

    Extensions are loaded once, when the table is first iterated or a name is looked up that is
    not built in, so that importing this package does not import theirs.

    Args:
      built_in: the formats of this package, in the order in which detection prefers them.
    """

    def __init__(self, built_in: Mapping[str, Format]) -> None:
        self._built_in = dict(built_in)

    @property
    def writable(self) -> tuple[str, ...]:
        """The names of the formats that can be written."""
        return tuple(name for name, row in self.items() if row.write is not None)

    def __getitem__(self, name: str) -> Format:
        return self._built_in[name] if name in self._built_in else self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @cached_property
    def _all(self) -> dict[str, Format]:
        extensions = plugins.load(plugins.FORMATS, Format)
        for name in extensions:
            if name in self._built_in or name == AUTO or not name.isidentifier():
                raise SetupError(
                    "An extension registers an annotation format under an invalid name.",
                    where=f"entry point {name!r} of the group {plugins.FORMATS}",
                    expected="letters, digits and underscores, and none of the names "
                    f"{', '.join((AUTO, *self._built_in))}",
                    fix="Update or uninstall the package that registers it.",
                )
        return {**self._built_in, **extensions}

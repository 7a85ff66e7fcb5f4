"""Reads YAML from untrusted sources: without nested aliases, which grow exponentially."""

from typing import Any

import yaml  # type: ignore[import-untyped]

_MOST_ALIASES = 100


def load(data: bytes) -> object:
    """The content of a YAML document of plain values.

    Raises:
      yaml.YAMLError: it is invalid, or an alias stands for something that contains lists, mappings
        or many aliases.
    """
    return yaml.load(data, _Loader)  # noqa: S506 a subclass of SafeLoader


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML ships no types
    """A SafeLoader that takes aliases only of plain values, and of lists and mappings of them."""

    _aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        is_alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self._aliases += is_alias
        if is_alias and (self._aliases > _MOST_ALIASES or _is_nested(node)):
            raise yaml.composer.ComposerError(
                None, None, "aliases that contain others are not read", node.start_mark
            )
        return node


def _is_nested(node: yaml.Node) -> bool:
    """Whether a list or mapping contains another one."""
    if isinstance(node, yaml.MappingNode):
        return any(not isinstance(value, yaml.ScalarNode) for _, value in node.value)
    return isinstance(node, yaml.SequenceNode) and any(
        not isinstance(item, yaml.ScalarNode) for item in node.value
    )

"""Applies patches to upstream's modules when they are imported.

A finder in front of Python's own wraps the loaders of the modules that patches name. No module is
imported just to be patched, and all other modules are loaded as usual.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

APPLIED = "applied"
NOT_NEEDED = "not needed"
WAITING = "waiting"
FAILED = "failed"


def _always(module: ModuleType) -> bool:
    return True


def _nothing(module: ModuleType) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Patch:
    """A replacement for something that upstream expects and a current stack no longer has.

    Attributes:
      name: short and unique.
      modules: the upstream modules that it changes.
      symbol: what upstream uses.
      why: since when it no longer exists, and what happens without the patch.
      needed: whether an imported module needs the patch; called after `during`.
      apply: changes the module, after its body has run.
      during: a context in which the module's body runs, for what it does at import.
    """

    name: str
    modules: tuple[str, ...]
    symbol: str
    why: str
    needed: Callable[[ModuleType], bool] = _always
    apply: Callable[[ModuleType], None] = _nothing
    during: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True, slots=True)
class PatchState:
    """The state of a patch in this process.

    Attributes:
      patch: the patch.
      status: APPLIED, NOT_NEEDED, FAILED, or WAITING while none of its modules is imported.
      detail: the error if it failed; empty otherwise.
    """

    patch: Patch
    status: str
    detail: str = ""


class PatchFinder(MetaPathFinder):
    """Finds the modules that patches name, and gives them a loader that applies the patches."""

    def __init__(self, patches: Iterable[Patch]) -> None:
        self.patches = tuple(patches)
        self._by_module: dict[str, list[Patch]] = {}
        self._outcomes: dict[tuple[str, str], tuple[str, str]] = {}
        for patch in self.patches:
            for module in patch.modules:
                self._by_module.setdefault(module, []).append(patch)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        patches = self._by_module.get(fullname)
        if patches is None:
            return None
        spec = self._found_by_others(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _PatchingLoader(spec.loader, self, tuple(patches))
        return spec

    def _found_by_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                return spec
        return None

    def apply_to_imported(self) -> None:
        """Applies the patches to modules that were imported before the finder was installed."""
        for name, patches in self._by_module.items():
            module = sys.modules.get(name)
            spec = getattr(module, "__spec__", None)
            if module is not None and not getattr(spec, "_initializing", False):
                for patch in patches:
                    self.apply(module, patch)

    def apply(self, module: ModuleType, patch: Patch) -> None:
        """Applies a patch to an imported module if it needs it, and records the outcome.

        Raises:
          Exception: the patch failed; upstream's code then differs from what the patch expects.
        """
        key = (patch.name, module.__name__)
        try:
            needed = patch.needed(module)
            if needed:
                patch.apply(module)
        except Exception as error:
            self._outcomes[key] = (FAILED, f"{module.__name__}: {error!r}")
            raise
        self._outcomes[key] = (APPLIED if needed else NOT_NEEDED, "")

    def report(self) -> tuple[PatchState, ...]:
        """The state of each patch, in the table's order."""
        return tuple(self._state(patch) for patch in self.patches)

    def _state(self, patch: Patch) -> PatchState:
        outcomes = [outcome for (name, _), outcome in self._outcomes.items() if name == patch.name]
        for status in (FAILED, APPLIED, NOT_NEEDED):
            for outcome, detail in outcomes:
                if outcome == status:
                    return PatchState(patch, status, detail)
        return PatchState(patch, WAITING)


class _PatchingLoader(Loader):
    """Wraps a loader: runs a module's body in the contexts of its patches, then applies them."""

    def __init__(self, real: Any, finder: PatchFinder, patches: tuple[Patch, ...]) -> None:
        self._real = real
        self._finder = finder
        self._patches = patches

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._real.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        # Restore the real loader: pickle, inspect and importlib.resources use it.
        module.__loader__ = self._real
        if module.__spec__ is not None:
            module.__spec__.loader = self._real
        with ExitStack() as contexts:
            for patch in self._patches:
                contexts.enter_context(patch.during())
            self._real.exec_module(module)
        for patch in self._patches:
            self._finder.apply(module, patch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

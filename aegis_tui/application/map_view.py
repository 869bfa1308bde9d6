"""The view of a map store in the form in which relations between definitions are asked for."""

from __future__ import annotations

from aegis_tui.domain.code_map.resolve import SymbolPlace
from aegis_tui.ports.code_map import MapStore


class RelationView:
    """A store's view in the form that `Relations` asks; each method raises `StoreError` as those of the store do."""

    def __init__(self, store: MapStore) -> None:
        self._store = store
        self.paths, self.facts, self.mentioning = store.paths, store.facts, store.mentioning

    def places(self, name: str) -> list[SymbolPlace]:
        """Return the definitions with a name, other than variables."""
        return [SymbolPlace(item.path, item.at) for item in self._store.named(name) if item.symbol.kind != "variable"]

"""Contents of files that regions were resolved on, by blob id."""

from __future__ import annotations

from collections import OrderedDict
from sys import getsizeof
from typing import Final

from aegis_tui.domain.lock.region import blob_id, names_of

KEPT_TEXTS: Final = 256
KEPT_BYTES: Final = 32 * 1024 * 1024
"""In memory, where a text takes up to four bytes a character."""


class KnownTexts:
    """Contents by blob id, the newest of them: `KEPT_TEXTS` at most, which take `KEPT_BYTES` together.

    They are found by the id without filters, and by every other name that such a content may go by (`names_of`).
    """

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._same: dict[str, str] = {}
        self._size = 0

    def keep(self, text: str) -> str:
        """Remember it; its id."""
        raw = text.encode("utf-8", "surrogateescape")
        oid = blob_id(raw)
        if oid not in self._texts:
            self._same |= dict.fromkeys(names_of(raw) - {oid}, oid)
            self._size += getsizeof(text)
            self._texts[oid] = text
        self._texts.move_to_end(oid)
        while len(self._texts) > 1 and (len(self._texts) > KEPT_TEXTS or self._size > KEPT_BYTES):
            gone, dropped = self._texts.popitem(last=False)
            self._size -= getsizeof(dropped)
            self._same = {name: kept for name, kept in self._same.items() if kept != gone}
        return oid

    def find(self, named: str) -> str | None:
        """The id without filters of the content that somebody names by any of its ids."""
        return named if named in self._texts else self._same.get(named)

    def text(self, oid: str) -> str | None:
        """The content with that id."""
        return self._texts.get(oid)

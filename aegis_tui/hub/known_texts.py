"""The file contents in which regions were resolved, by blob id."""

from __future__ import annotations

from collections import OrderedDict
from sys import getsizeof
from typing import Final

from aegis_tui.domain.lock.region import blob_id, names_of

KEPT_TEXTS: Final = 256
KEPT_BYTES: Final = 32 * 1024 * 1024
"""The memory that all kept texts may take; a text takes up to four bytes per character."""


class KnownTexts:
    """The newest file contents by blob id: at most `KEPT_TEXTS`, and at most `KEPT_BYTES` together.

    A content is found by its blob id without git's filters, and by every other id that git may give it (`names_of`).
    """

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._same: dict[str, str] = {}
        self._size = 0

    def keep(self, text: str) -> str:
        """Keep a text as the newest and return its blob id (SHA-1).

        Drop the oldest others when the limits are exceeded.

        Args:
            text: The content; a byte that is not UTF-8 is a lone surrogate (PEP 383).
        """
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
        """Return the id under which `text` has the kept content that git may call `named`; None when none is kept.

        Args:
            named: A blob id by either hash algorithm, also of the content with its line ends changed by git's filters.
        """
        return named if named in self._texts else self._same.get(named)

    def text(self, oid: str) -> str | None:
        """Return the content with the blob id that `keep` or `find` returned; None when it is not kept (any more)."""
        return self._texts.get(oid)

"""Contents of files that regions were resolved on, by blob id."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from aegis_tui.domain.region import blob_id

KEPT_TEXTS: Final = 256


class KnownTexts:
    """Contents by blob id, the newest `KEPT_TEXTS` of them.

    They are found by the id without filters, and by those that git gives the same content where it turns CRLF into LF,
    or in a SHA-256 repository.
    """

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._same: dict[str, str] = {}

    def keep(self, text: str) -> str:
        """Remember it; its id."""
        raw = text.encode("utf-8", "surrogateescape")
        oid = blob_id(raw)
        if oid not in self._texts:
            plain = raw.replace(b"\r\n", b"\n")
            same = {blob_id(plain), blob_id(raw, "sha256"), blob_id(plain, "sha256")}
            self._same |= dict.fromkeys(same - {oid}, oid)
        self._texts[oid] = text
        self._texts.move_to_end(oid)
        while len(self._texts) > KEPT_TEXTS:
            gone, _ = self._texts.popitem(last=False)
            self._same = {name: kept for name, kept in self._same.items() if kept != gone}
        return oid

    def find(self, named: str) -> str | None:
        """The id without filters of the content that somebody names by any of its ids."""
        return named if named in self._texts else self._same.get(named)

    def text(self, oid: str) -> str | None:
        """The content with that id."""
        return self._texts.get(oid)

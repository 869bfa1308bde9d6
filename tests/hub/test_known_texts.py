"""Texts that regions were resolved on are remembered within a bound, whatever an agent makes of them."""

from __future__ import annotations

import pytest

from aegis_tui.hub import known_texts
from aegis_tui.hub.known_texts import KnownTexts


def test_large_texts_push_out_older_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_texts, "KEPT_BYTES", 100_000)
    texts = KnownTexts()
    first = texts.keep("small\n")
    wide = [texts.keep("\U0001f600" + "x" * 10_000 + str(number)) for number in range(5)]
    assert texts.text(first) is None and texts.find(first) is None
    assert [texts.text(oid) is not None for oid in wide] == [False, False, False, True, True]
    assert texts.keep("\U0001f600" + "y" * 1_000_000) and len(texts._texts) == 1
    again = texts.keep("small\n")
    assert again == first and texts.text(first) == "small\n"

"""What a person reads is what is there: hidden characters are shown, escaped or refused (SEC-2)."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.domain.inert import escape_hidden, has_hidden, inert, is_hidden, without_hidden

HIDDEN = {
    "control": "\x00",
    "escape": "\x1b",
    "delete": "\x7f",
    "C1 control": "\x9b",
    "embedding": "\u202a",
    "override": "\u202e",
    "isolate": "\u2066",
    "end of isolate": "\u2069",
    "zero width space": "\u200b",
    "joiner alone": "\u200d",
    "left-to-right mark": "\u200e",
    "word joiner": "\u2060",
    "invisible plus": "\u2064",
    "byte order mark": "\ufeff",
    "tag letter": "\U000e0041",
    "variation selector alone": "\ufe0f",
    "supplementary selector": "\U000e0100",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "soft hyphen": "\xad",
    "Hangul filler": "\u3164",
    "blank braille": "\u2800",
    "private use": "\ue000",
    "half a pair": "\ud800",
}
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
HOSTILE = st.lists(st.sampled_from([*HIDDEN.values(), "a", "한", "👩", "💻", "❤", "\n", '"', "\\"]), max_size=12).map(
    "".join
)


@pytest.mark.boundary(
    layer="terminal",
    tried="control characters, direction overrides, zero-width characters, tags and line separators in printed text",
    refused="each is shown as �",
)
@pytest.mark.parametrize("name", HIDDEN)
def test_a_hidden_character_is_shown(name: str) -> None:
    text = f"a{HIDDEN[name]}b"
    assert inert(text) == "a�b"
    assert without_hidden(text) == "ab"
    assert has_hidden(text)


@pytest.mark.parametrize(
    "text", ["plain", "한국어", "ñ é", "👩‍💻 and 👨‍👩‍👧", "❤️‍🔥", "1️⃣", "👍🏽", "ⅷ ½ → ✓", "हिन्दी", "日本語　全角"]
)
def test_text_that_can_be_read_stays(text: str) -> None:
    assert inert(text) == without_hidden(text) == escape_hidden(text) == text
    assert not has_hidden(text)


def test_line_breaks_stay_only_where_they_are_asked_for() -> None:
    assert inert("a\n\tb\r", keep="\n\t") == "a\n\tb�"
    assert inert("a\nb") == "a�b"


@given(ANY_TEXT | HOSTILE)
def test_nothing_hidden_is_left_but_what_builds_an_emoji(text: str) -> None:
    shown = inert(text)
    assert not has_hidden(shown)
    assert len(shown) == len(text)
    shown.encode()
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff")


@given(ANY_TEXT | HOSTILE)
def test_showing_a_text_twice_changes_nothing_more(text: str) -> None:
    assert inert(inert(text)) == inert(text)


@given(st.dictionaries(ANY_TEXT | HOSTILE, ANY_TEXT | HOSTILE | st.lists(HOSTILE), max_size=4))
def test_escaped_json_says_the_same_and_hides_nothing(value: dict[str, object]) -> None:
    plain = json.dumps(value, ensure_ascii=False)
    escaped = escape_hidden(plain)
    assert json.loads(escaped) == json.loads(plain)
    assert not has_hidden(escaped)


def test_every_character_is_decided_by_what_stands_alone_or_beside_it() -> None:
    shown = [code for code in range(0x110000) if not is_hidden(chr(code))]
    assert not {0x202E, 0x200B, 0xFEFF, 0xE0041, 0x2028, 0x1B, 0x9B} & set(shown)
    assert {ord(" "), ord("~"), 0xA0, 0xAC00, 0x1F642} <= set(shown)

"""Front matter says what a Markdown file is about; nothing in it is taken for a heading or evaluated (MAP-4)."""

from __future__ import annotations

import pytest

from aegis_tui.adapters.code_map.front_matter import read_front_matter
from aegis_tui.adapters.code_map.reader import SourceReader


@pytest.mark.parametrize(
    ("text", "doc", "lines"),
    [
        ("---\ntitle: A\ndescription: What it is for.\n---\n# H\n", "What it is for.", 4),
        ('---\ntitle: "The cart"\nname: x\n...\n', "The cart", 4),
        ("---\ndescription: >-\n  Sums up\n  the prices.\nother: 1\n---\n", "Sums up the prices.", 6),
        ("---\ndescription:\ntitle: B\n# remark\n---\n", "B", 5),
        ("---\r\nsummary: C\r\n---\r\n", "C", 3),
        ("---\ntags: [a]\n---\n", "", 3),
        ("# H\n---\ntitle: A\n---\n", "", 0),
        ("---\ntitle: never ends\n", "", 0),
        ("---\n" + "a: 1\n" * 200 + "---\n", "", 0),
        ("", "", 0),
        ("---\ntitle: " + "x " * 400 + "\n---\n", ("x " * 400)[:299] + "…", 3),
    ],
)
def test_what_a_file_is_about_is_read(text: str, doc: str, lines: int) -> None:
    assert read_front_matter(text.split("\n")) == (doc, lines)


def test_front_matter_is_documentation_and_no_heading() -> None:
    symbols = SourceReader().derive("markdown", b"---\n# remark\ntitle: The cart\n---\n# H\n---\n").symbols
    assert [(one.kind, one.name, one.line, one.doc) for one in symbols] == [
        ("module", "", 1, "The cart"),
        ("heading", "H", 5, ""),
    ]

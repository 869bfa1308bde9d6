"""Text of agents and models in Markdown: it stands in code, so that nothing in it is interpreted (SEC-2)."""

from __future__ import annotations

from aegis_tui.domain.inert import inert


def code_span(text: str) -> str:
    """Return a text as code that Markdown does not interpret, in one line; empty for a blank text."""
    plain = " ".join(inert(text, keep="\n\t").split())
    if not plain:
        return ""
    fence = "`"
    while fence in plain:
        fence += "`"
    space = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{space}{plain}{space}{fence}"


def code_cell(text: str) -> str:
    """Return `code_span` of a text for a cell of a table."""
    return code_span(text).replace("|", "\\|")

"""Field types that commands share: the maximum length of texts, and the form of paths."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from aegis_tui.domain.path.file_name import canonical_name

MAX_TEXT = 256 * 1024


Text = Annotated[str, Field(max_length=MAX_TEXT)]


PathText = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(canonical_name)]
"""A path, converted to its one written form (contract 3); refused when its quoting is wrong."""


Name = Annotated[str, Field(max_length=200)]
"""An id or another name. Rules decide which names are valid; this only limits the length that a message may repeat."""


Key = Annotated[str, Field(max_length=8400)]
"""A key that contains a path: of a conflict, or of a lock in the shared context."""


HostName = Annotated[str, Field(pattern=r"^[0-9a-z._?-]{1,253}$")]
"""A name that a program looked up, in lower case; `?` stands for a character that no host name has."""


Note = Annotated[str, Field(max_length=8000)]


Reason = Annotated[str, Field(max_length=2000)]


def _is_a_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Timestamp = Annotated[
    str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$"), AfterValidator(_is_a_time)
]
"""A time as contract 3 writes it: RFC 3339, UTC; refused if there is no such time."""


Symbol = Annotated[str, Field(max_length=500)]


Oid = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{0,64}$")]
"""The id of a git object. The pattern excludes refs and anything that a program could read as an option."""

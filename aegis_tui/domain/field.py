"""Fields that commands share: how long a text may be, and how a path is written."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from aegis_tui.domain.path.file_name import canonical_name

MAX_TEXT = 256 * 1024


Text = Annotated[str, Field(max_length=MAX_TEXT)]


PathText = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(canonical_name)]
"""A path in its one written form (contract 3); refused where it is badly quoted."""


Name = Annotated[str, Field(max_length=200)]
"""An id or another name. The rules say which are usable, and what is allowed; this only bounds what is repeated."""


Key = Annotated[str, Field(max_length=8400)]
"""What names an entry by a path and more: a conflict, a lock in the shared context."""


Note = Annotated[str, Field(max_length=8000)]


Reason = Annotated[str, Field(max_length=2000)]


Symbol = Annotated[str, Field(max_length=500)]


Oid = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{0,64}$")]
"""The id of a git object; a ref or an option of a program is none."""

from __future__ import annotations

import pytest

from aegis_tui.errors import UsageError
from aegis_tui.sdk.orphan import orphan_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, 600.0), ("", 600.0), ("2.5", 2.5), ("-3", 1.0), ("0", 1.0), ("inf", 86_400.0), ("1e300", 86_400.0)],
)
def test_the_time_without_a_hub_is_from_a_second_to_a_day(text: str | None, seconds: float) -> None:
    assert orphan_s({} if text is None else {"AEGIS_ORPHAN_S": text}) == seconds


def test_words_are_no_time() -> None:
    with pytest.raises(UsageError, match="AEGIS_ORPHAN_S is 'ten'"):
        orphan_s({"AEGIS_ORPHAN_S": "ten"})

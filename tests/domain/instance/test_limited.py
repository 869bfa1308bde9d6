"""An instance says until when its usage limit lasts; what is no time is refused (M19)."""

from __future__ import annotations

import pytest

from aegis_tui.domain.command import parse_command
from aegis_tui.errors import UsageError


def test_a_time_of_contract_3_is_taken() -> None:
    for until in ("2026-01-01T12:30:00Z", "2026-12-31T23:59:59.999Z"):
        assert parse_command({"type": "agent:report", "state": "limited", "until": until})


@pytest.mark.parametrize("until", ["soon", "2026-13-01T12:30:00Z", "2026-01-01T12:30:00+02:00", "2026-01-01T25:00:00Z"])
def test_what_is_no_time_is_refused(until: str) -> None:
    with pytest.raises(UsageError):
        parse_command({"type": "agent:report", "state": "limited", "until": until})

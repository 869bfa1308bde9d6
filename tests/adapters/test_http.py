from __future__ import annotations

import pytest

from aegis_tui.adapters.http import needs_certificates


@pytest.mark.parametrize(
    ("url", "is_needed"),
    [
        ("http://localhost:8001/v1", False),
        ("HTTP://LOCALHOST/v1", False),
        ("https://10.0.0.9/v1", True),
        ("HTTPS://10.0.0.9/v1", True),
        ("", True),
    ],
)
def test_certificates_are_left_unread_for_plain_http_alone(url: str, is_needed: bool) -> None:
    assert needs_certificates(url) is is_needed

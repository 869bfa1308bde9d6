from __future__ import annotations

import pytest

from aegis_tui.domain.memory.secret_text import SECRET, without_secrets

AWS = "AKIA" + "QYLPMN5HHHFPZAM2"
PEM = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEowIBAAKCAQEA\nabc\n-----END RSA PRIVATE " + "KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password = hunter2", "hunter2"),
        ("DB_PASSWORD: 'a b c'", "a b c"),
        ('{"api_key": "abc123"}', "abc123"),
        ("Authorization: Bearer abc.def", "abc.def"),
        ("Authorization: Basic " + "dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("postgres://me:pass@host/db", "pass"),
        (f"key {AWS} found", AWS),
        ("ghp_" + "a1B2c3D4e5F6g7H8i9J0", "a1B2c3D4e5F6g7H8i9J0"),
        ("sk-proj-" + "abcdefgh12345678", "abcdefgh12345678"),
        ("eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0.sig", "eyJzdWIi"),
        (f"x\n{PEM}\ny", "MIIEowIBAAKCAQEA"),
        (PEM[:50], "MIIEowIB"),
        ('password = "correct horse', "correct horse"),
        ("--db-password=hunter2", "hunter2"),
        ("0123456789abcdef0123456789abcdef01234567", "0123456789abcdef0123456789abcdef"),
    ],
)
def test_a_secret_is_taken_out(text: str, secret: str) -> None:
    clean = without_secrets(text)
    assert secret not in clean and SECRET in clean
    assert without_secrets(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "the total ignores discounts (src/shop/cart.py:12)",
        "tests/test_cart.py::test_a_discount_of_a_whole_cart_is_subtracted_from_the_total failed",
        "AssertionError: assert 3 == 4",
        "the tokens of a prompt are counted",
        "Add basic tests, the more basic\nones first (not basic!), of what is basic.",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", ["a-", "key-", "eyJ-", "key: ", "basic ", "-----BEGIN ", "x://", "password='"])
def test_a_long_text_of_an_agent_takes_no_time_that_grows_with_its_square(part: str) -> None:
    without_secrets(part * 100_000)

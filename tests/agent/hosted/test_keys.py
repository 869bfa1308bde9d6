"""What the wrapper sees of a person's keys: drafts, Enter, interrupts, and the key that submits (PANE-4)."""

from __future__ import annotations

import pytest

from aegis_tui.agent.hosted.keys import SUBMIT_KEY, PersonKeys


def typed(*reads: bytes, interrupts: tuple[str, ...] = ("\x1b",)) -> PersonKeys:
    keys = PersonKeys(interrupts)
    for data in reads:
        keys.take(data)
    return keys


@pytest.mark.parametrize(
    ("reads", "draft", "entered"),
    [
        ([b"hello"], True, 0),
        ([b"hello\r"], False, 1),
        ([b"\x1b[A\x1b[B\x1bOP"], False, 0),
        ([b"\x1b[200~two\rlines\r\x1b[201~"], True, 0),
        ([b"\x1b[200~two\rlines", b"\rmore\x1b[2", b"01~", b"\r"], False, 1),
        ([b"\x1b[2", b"00~x\r", b"\x1b[201~"], True, 0),
        ([b"\x1b[?6", b"4;1;2c"], False, 0),
        ([b"x\x15"], False, 0),
    ],
)
def test_line_ends_in_a_paste_send_nothing(reads: list[bytes], draft: bool, entered: int) -> None:
    keys = typed(*reads)
    assert (not keys.no_draft.is_set(), keys.entered) == (draft, entered)


@pytest.mark.parametrize("key", [b"\x1b", b"\x1b\x1b", b"\x03"])
def test_the_kinds_keys_and_ctrl_c_interrupt(key: bytes) -> None:
    assert typed(b"x\r", key).interrupts == 1
    assert typed(b"\x1b[A", b"x").interrupts == 0


def test_only_the_kinds_own_key_interrupts_where_it_has_another() -> None:
    keys = typed(b"\x1b", b"\x18", b"\r", b"\x18", interrupts=("\x18",))
    assert (keys.interrupts, keys.interrupts_at_enter) == (2, 1)


def test_the_program_does_not_get_the_key_that_submits() -> None:
    keys = PersonKeys(())
    assert keys.take(b"a\r" + SUBMIT_KEY) == b"a\r"
    assert keys.asks_submission and keys.entered == 1


def test_a_paste_submits_nothing() -> None:
    keys = PersonKeys(())
    pasted = b"\x1b[200~" + SUBMIT_KEY + b"\x1b[201~"
    assert keys.take(pasted) == pasted
    assert not keys.asks_submission

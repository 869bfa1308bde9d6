from __future__ import annotations

from aegis_tui.adapters.tmux.exits import CODE_WAIT_S, ExitLedger
from aegis_tui.ports.terminal import PaneExit, PaneState


def pane(instance: str, pane_id: str, *, dead: bool = False, status: int | None = None) -> PaneState:
    return PaneState(instance, pane_id, 100, dead, status, None, "")


def test_an_end_is_told_once() -> None:
    ledger = ExitLedger()
    assert ledger.observe(7, [pane("w01", "%1")], now=0) == []
    assert ledger.observe(7, [pane("w01", "%1", dead=True, status=3)], now=1) == [PaneExit("w01", "%1", 3, None)]
    assert ledger.observe(7, [pane("w01", "%1", dead=True, status=3)], now=2) == []
    assert ledger.observe(7, [], now=3) == []


def test_a_pane_that_was_dead_before_anybody_looked_is_told() -> None:
    assert ExitLedger().observe(7, [pane("w01", "%1", dead=True, status=0)], now=0) == [PaneExit("w01", "%1", 0, None)]


def test_an_end_waits_a_moment_for_its_code() -> None:
    ledger = ExitLedger()
    assert ledger.observe(7, [pane("w01", "%1", dead=True)], now=0) == []
    assert ledger.is_waiting
    assert ledger.observe(7, [pane("w01", "%1", dead=True, status=4)], now=0.1) == [PaneExit("w01", "%1", 4, None)]
    assert not ledger.is_waiting


def test_an_end_without_a_code_is_told_all_the_same() -> None:
    ledger = ExitLedger()
    ledger.observe(7, [pane("w01", "%1", dead=True)], now=0)
    end = PaneExit("w01", "%1", None, None)
    assert ledger.observe(7, [pane("w01", "%1", dead=True)], now=CODE_WAIT_S) == [end]
    assert not ledger.is_waiting


def test_a_pane_that_vanishes_while_its_code_is_awaited_is_told() -> None:
    ledger = ExitLedger()
    ledger.observe(7, [pane("w01", "%1", dead=True)], now=0)
    assert ledger.observe(7, [], now=0.1) == [PaneExit("w01", "%1", None, None)]


def test_a_dead_server_is_the_end_of_every_pane() -> None:
    ledger = ExitLedger()
    ledger.observe(7, [pane("w01", "%1"), pane("w02", "%2")], now=0)
    ledger.opened((7, "%3"), "w03")
    assert {end.instance for end in ledger.observe(None, [], now=1)} == {"w01", "w02", "w03"}
    assert ledger.observe(None, [], now=2) == []


def test_a_new_server_that_counts_from_the_start_is_not_mistaken_for_the_old() -> None:
    ledger = ExitLedger()
    ledger.observe(7, [pane("w01", "%1")], now=0)
    assert ledger.observe(8, [pane("w02", "%1")], now=1) == [PaneExit("w01", "%1", None, None)]

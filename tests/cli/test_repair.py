"""`hub repair` as a person meets it: the damage is named, the command gives the way out (HUB-5)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aegis_tui.testing.scratch import ScratchWorkspace


def log_check(served: ScratchWorkspace) -> tuple[bool, str, str]:
    """What `doctor` says of the log."""
    checks = served.aegis("doctor", "--json").json["checks"]
    (check,) = (check for check in checks if check["name"] == "log")
    return check["ok"], check["found"], check["fix"]


def test_a_person_is_led_from_the_damage_to_a_hub_that_runs_again(served: ScratchWorkspace) -> None:
    for number in range(5):
        assert served.aegis("lock", "acquire", f"{number}.py").code == 0
    last = served.events()[-1]["seq"]
    assert served.aegis("hub", "repair").code == 5, "a log that is in use must be left alone"
    assert log_check(served) == (True, "in use by the hub", "")
    served.aegis("hub", "stop")
    assert log_check(served) == (True, "sound", "")
    assert served.aegis("hub", "repair").out.splitlines() == ["nothing is wrong with the log"]
    (log,) = (served.folder / "state").rglob("log.db")
    raw = bytearray(log.read_bytes())
    raw[raw.index(f'"seq":{last - 1},'.encode()) + 30] ^= 4
    log.write_bytes(raw)

    assert log_check(served) == (False, f"event {last - 1} is damaged", "aegis-tui hub repair")
    refused = served.aegis("hub", "start")
    assert refused.code == 5 and f"event {last - 1}" in refused.err and "aegis-tui hub repair" in refused.err
    repaired = served.aegis("hub", "repair", "--json").json
    assert repaired["repaired"] is True and repaired["lost"] == [last - 1, last]
    assert Path(repaired["put_aside"]).exists()

    assert served.aegis("hub", "start").code == 0
    held = served.aegis("lock", "list").out
    assert "2.py" in held and not re.search(r"[34]\.py", held)
    assert served.aegis("lock", "acquire", "4.py").code == 0


def test_where_nothing_can_be_read_the_same_command_gives_a_hub_that_runs_again(served: ScratchWorkspace) -> None:
    assert served.aegis("lock", "acquire", "a.py").code == 0
    last = served.events()[-1]["seq"]
    served.aegis("hub", "stop")
    (log,) = (served.folder / "state").rglob("log.db")
    log.write_bytes(bytes(4096) + log.read_bytes()[4096:])

    refused = served.aegis("hub", "start")
    assert refused.code == 5 and "aegis-tui hub repair" in refused.err and "log.mark" not in refused.err
    lines = served.aegis("hub", "repair").out.splitlines()
    assert lines[0] == f"0 events kept; events 1 to {last} are lost"
    assert "connect again" in lines[1] and "log.damaged-" in lines[2]
    assert served.aegis("hub", "start").code == 0
    assert served.aegis("lock", "acquire", "a.py").code == 0
    assert served.events()[-1]["seq"] > last + 1


def test_a_log_that_is_no_file_is_left_to_the_person(served: ScratchWorkspace) -> None:
    assert served.aegis("lock", "acquire", "b.py").code == 0
    served.aegis("hub", "stop")
    (log,) = (served.folder / "state").rglob("log.db")
    kept = log.with_name("kept.db")
    log.rename(kept)
    log.mkdir()
    try:
        ok, found, fix = log_check(served)
        assert (ok, found) == (False, f"{log} is not a file") and fix.startswith("move it away")
        for words in (("hub", "repair"), ("hub", "start")):
            refused = served.aegis(*words)
            assert refused.code != 0 and "is not a file" in refused.err and "move it away" in refused.err
    finally:
        log.rmdir()
        kept.rename(log)
    assert served.aegis("hub", "start").code == 0


def test_the_port_of_the_own_hub_is_no_fault(served: ScratchWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert served.aegis("hub", "start").code == 0
    url = served.aegis("hub", "status", "--json").json["url"]
    monkeypatch.setitem(served.environ, "AEGIS_PORT", url.rpartition(":")[2])
    checks = {check["name"]: check for check in served.aegis("doctor", "--json").json["checks"]}
    assert checks["port"]["ok"] and "the hub of this repository" in checks["port"]["found"]

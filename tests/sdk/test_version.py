from __future__ import annotations

import json
import os
import re

import pytest

from aegis_tui import __version__
from aegis_tui.sdk.discovery import WorkspacePaths, find_process, process_start_time
from aegis_tui.sdk.quick import address_from
from aegis_tui.sdk.version import RESTART, version_note


@pytest.mark.parametrize(
    ("hub", "words"),
    [
        (None, f"hub 7 has an earlier version, this program has version 1.10.0: replace the hub, .*: {RESTART}"),
        ("1.9.9", f"hub 7 has version 1.9.9, this program has version 1.10.0: replace the hub, .*: {RESTART}"),
        ("1.10.1", "hub 7 has version 1.10.1, this program has version 1.10.0: update this program"),
        ("2.0", "hub 7 has version 2.0, this program has version 1.10.0: update this program"),
    ],
)
def test_a_hub_of_another_version_is_told_with_what_to_do(hub: str | None, words: str) -> None:
    assert re.fullmatch(words, version_note(hub, 7, mine="1.10.0"))


def test_a_hub_of_this_version_is_not_told() -> None:
    assert version_note(__version__, 7) == ""


def test_a_record_of_another_version_is_read_with_fields_it_has_more_or_less(paths: WorkspacePaths) -> None:
    record = {"pid": 1, "start_time": 1.0, "url": "", "socket": "/s", "token": "t"}
    assert address_from(record).version is None
    assert address_from({**record, "version": "9", "more": 1}).version == "9"
    paths.create()
    mine = {**record, "pid": os.getpid(), "start_time": process_start_time(os.getpid()), "more": 1}
    paths.hub_json.write_text(json.dumps(mine))
    assert find_process(paths) == address_from(mine)

"""Whatever an agent writes, a terminal only shows it, and `--json` says exactly what it was (SEC-2, contract 3)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aegis_tui.cli import output
from aegis_tui.domain.inert import has_hidden
from aegis_tui.domain.path.file_name import read_name
from aegis_tui.errors import LockHeld, Refused

HOSTILE = "a\x1b[2J\x9b1m\u202egnp\u2066\u200b\ufeff\U000e0041\u2028\x7f\ud800z"


def read_by_a_terminal(text: str) -> str:
    assert not has_hidden(text.replace("\n", "").replace("\t", "")), text.encode("unicode_escape")
    return text


def test_every_way_to_talk_is_inert(capsys: pytest.CaptureFixture[str]) -> None:
    output.data(HOSTILE)
    output.talk(HOSTILE)
    output.result({}, as_json=False, lines=output.table([[HOSTILE, "b"], ["c", f"{HOSTILE}\n\t"]]))
    output.failure(Refused(HOSTILE, HOSTILE), as_json=False)
    output.failure(LockHeld("held", held_by=HOSTILE, expires_in_s=1, path=HOSTILE, region=HOSTILE), as_json=False)
    out, err = capsys.readouterr()
    assert read_by_a_terminal(out).count("gnp") == 3
    assert read_by_a_terminal(err).count("gnp") == 6


def test_a_table_has_one_line_a_row() -> None:
    assert len(output.table([["a\nb", "c\td"], ["\u2028", "\x85"]])) == 2


@pytest.mark.parametrize("as_error", [False, True])
def test_json_is_exact_and_hides_nothing(capsys: pytest.CaptureFixture[str], as_error: bool) -> None:
    if as_error:
        output.failure(Refused(HOSTILE, HOSTILE, path=HOSTILE), as_json=True)
    else:
        output.result({"text": HOSTILE, "한국어": "👩‍💻 é"}, as_json=True)
    out = read_by_a_terminal(capsys.readouterr().out)
    assert "\\u202e" in out and len(out.splitlines()) == 1
    said = json.loads(out)
    if as_error:
        assert said["error"]["message"] == said["error"]["path"] == HOSTILE
    else:
        assert said["text"] == HOSTILE
        assert said["한국어"] == "👩‍💻 é" and "👩‍💻 é" in out


def test_a_path_that_is_not_utf_8_is_in_its_written_form(capsys: pytest.CaptureFixture[str]) -> None:
    root = os.fsdecode(b"/home/ada/latin\xe9")
    output.result({"root": Path(root), "paths": [root], "message": f"no file {root}/a"}, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["root"] == said["paths"][0] == '"/home/ada/latin\\351"'
    assert said["message"] == "no file /home/ada/latin\\351/a"
    assert read_name(said["root"]) == root

"""`inbox`: what waits for the person, oldest first, each answered without attaching (WISH-8, PART-6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aegis_tui.sdk.discovery import find_hub, workspace_key_of, workspace_paths
from aegis_tui.sdk.quick import HubQuick
from aegis_tui.testing.scratch import ScratchWorkspace


def join(served: ScratchWorkspace, name: str, *partition: str) -> HubQuick:
    address = find_hub(workspace_paths(workspace_key_of(served.root), served.environ))
    assert address is not None
    fields: dict[str, Any] = {"instance_id": name, "partition": list(partition)}
    reply = HubQuick(address).command("agent:register", agent_type="CLAUDE-CODE", **fields)
    return HubQuick.at(f"unix:{address.socket}", Path(reply["token_file"]).read_text())


def keys(served: ScratchWorkspace) -> list[str]:
    return [item["key"] for item in served.aegis("inbox", "--json").json["items"]]


def test_what_waits_is_listed_oldest_first_and_answered(served: ScratchWorkspace) -> None:
    assert served.aegis("inbox").out.startswith("nothing is waiting for you\nagents that ask you something")
    owner, asker = join(served, "own", "src/**"), join(served, "ask", "docs/**")
    asker.command("agent:report", state="implementing")
    asker.command("agent:report", state="asking", note="which client,\nold or \x1b[31mnew?")
    request = asker.command("scope:request", path="src/keep.py", reason="the import moved")["request"]
    owner.command("agent:report", state="blocked", note="no network")
    assert keys(served) == ["ask", request, "own"]
    shown = served.aegis("inbox").out
    assert "ask is asking: which client,⏎old or �[31mnew?" in shown and "\x1b" not in shown
    assert f"aegis-tui inbox answer {request} yes" in shown

    assert served.aegis("inbox", "answer", request, "perhaps").code == 2
    assert served.aegis("inbox", "answer", request, "yes").code == 0
    assert served.aegis("inbox", "answer", "ask", "the new one").code == 0
    texts = [message["text"] for message in asker.command("message:read")["messages"]]
    assert any("granted: you may write src/keep.py" in text for text in texts) and "the new one" in texts
    asker.command("agent:report", state="implementing")
    assert keys(served) == ["own"]
    again = served.aegis("inbox", "answer", request, "no")
    assert again.code == 2 and "waiting: own" in again.err
    owner.command("agent:report", state="failed", note="no space left")
    (item,) = served.aegis("inbox", "--json").json["items"]
    assert item["words"] == "own has failed: no space left" and item["commands"]["stop"] == "aegis-tui stop own"
    assert served.aegis("inbox", "answer", "own", " ").code == 2
    assert served.aegis("inbox", "answer", "own", "there is space again").code == 0


def test_a_state_is_explained_with_its_source_and_evidence_also_without_a_hub(served: ScratchWorkspace) -> None:
    told = join(served, "told")
    told.command("agent:report", state="blocked", note="no \x1b[31mnetwork")
    shown = served.aegis("explain", "told")
    assert "blocked" in shown.out and "reported by the agent itself" in shown.out and "\x1b" not in shown.out
    fields = served.aegis("explain", "told", "--json").json
    assert (fields["state"], fields["source"], fields["because"]) == ("blocked", "hub", "no \x1b[31mnetwork")
    assert fields["sources"] == [{"source": "hub", "state": "running", "words": "the hub answers"}]
    assert fields["since"] == [event for event in fields["evidence"] if event["type"] == "agent:state"][-1]["timestamp"]
    assert [event["type"] for event in fields["evidence"]][-1] == "agent:state"
    assert served.aegis("explain", "nobody").code == 2

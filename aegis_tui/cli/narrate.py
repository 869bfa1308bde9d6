"""One line for a person for each event that matters to a run; nothing for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from aegis_tui.domain.count import counted
from aegis_tui.domain.ids import PERSON

Data = dict[str, Any]


def narrate(event: dict[str, Any]) -> str | None:
    """What a wire event means in words, or None for one that is only of technical interest."""
    tell = _WORDS.get(event["type"])
    return (
        f"{event['timestamp'][11:19]} {words}" if tell and (words := tell(event["agent_id"], event["data"])) else None
    )


def _stage(agent: str, data: Data) -> str:
    again = f" (round {data['round'] + 1})" if data["round"] else ""
    reason = f": {data['reason']}" if data.get("reason") else ""
    return f"{data['stage']}{again}{reason}"


def _uncommitted(number: int) -> str:
    return f"{counted(number, 'uncommitted path')} {'is' if number == 1 else 'are'} not part of it"


def _models(facts: Data) -> str:
    """Which model was taken, where a server has several."""
    others = facts.get("other_models") or ()
    return f"\n  model {facts['model']}; also served: {', '.join(others)} (choose with --model)" if others else ""


def _proposed(agent: str, data: Data) -> str | None:
    """A design of the Commander; one that the person gave needs no words."""
    if agent == PERSON:
        return None
    return f"  {agent} proposes a design: {', '.join(feature['id'] for feature in data['design']['features'])}"


def _planned(agent: str, data: Data) -> str:
    what = data["piece"] or data["task"]
    instead = f", instead of {data['replaces']}" if data.get("replaces") else ""
    return f"  {agent} ({data['role']}) {what}{instead}"


def _checked(agent: str, data: Data) -> str | None:
    if data["ok"]:
        return None
    first = data["findings"][0]["msg"] if data["findings"] else "crosses lines that are composed already"
    return f"  {data['piece']} sent back: {first}"


def _state(agent: str, data: Data) -> str | None:
    if data["state"] not in ("failed", "blocked"):
        return None
    cause = data.get("cause") or {}
    words = data.get("note") or cause.get("message") or ""
    again = "; nobody else is set to it, as it would meet the same" if cause.get("outlook") == "certain" else ""
    return f"  {agent} {data['state']}: {words}{again}"


def _reclaimed(agent: str, data: Data) -> str | None:
    if not data["removed"]:
        why = f": {data['reason']}" if data.get("reason") else "; see the hub's log"
        return f"  {agent}'s worktree could not be saved and is left where it is{why}"
    return f"  {agent}'s work is saved in {data['rescue_ref']}" if data["rescue_ref"] else None


def _conflict(agent: str, data: Data) -> str:
    return f"  {data['kind']} conflict of {data['a']} and {data['b']} in {data['path']}"


def _qa(agent: str, data: Data) -> str:
    return "\n".join(line for item in data["checks"] for line in _check(item))


def _base(agent: str, data: Data) -> str:
    if data["ok"]:
        return "  QA of the base: it does not shut the gate any more"
    shut = [line for item in data["checks"] if not item["ok"] for line in _check(item)]
    return "\n".join(["  QA of the base, before any work: as it is, the gate would stay shut", *shut])


def _check(item: Data) -> Iterator[str]:
    word = _QA_WORDS.get(item.get("status", ""), "FAILED")
    if item["ok"]:
        word = {"passed": "passed"}.get(item.get("status", "passed"), "fails as the base does")
    count = f" ({item['passed']} passed, {item['failed'] or 0} failed)" if item["passed"] is not None else ""
    yield f"  QA {word}: {item['command']}{count}"
    if item.get("note"):
        yield f"    {item['note']}"
    if not item["ok"] and item.get("reason"):
        yield f"    {item['reason']}" + (f"; {item['remedy']}" if item.get("remedy") else "")


_QA_WORDS = {"not_run": "COULD NOT RUN", "empty": "EXECUTED NO TEST"}


_WORDS: dict[str, Callable[[str, Data], str | None]] = {
    "run:started": lambda agent, data: (
        f"{data['run']}: {data['goal']}"
        + (f"\n  {_uncommitted(data['facts']['uncommitted'])}" if data["facts"]["uncommitted"] else "")
        + ("\n  NO SANDBOX: agents run with all your rights" if data["facts"]["boundary_level"] == "none" else "")
        + ("\n  scripted model: its words are read from files" if data["facts"]["scripted"] else "")
        + _models(data["facts"])
        + "".join(f"\n  {warning}" for warning in data["facts"].get("warnings", ()))
    ),
    "stage:changed": _stage,
    "gate:blocked": lambda agent, data: f"  gate {data['gate']} is closed: {data['reason']}",
    "design:proposed": _proposed,
    "instance:planned": _planned,
    "agent:state": _state,
    "instance:lost": lambda agent, data: f"  {agent} is lost: {data['reason']}",
    "instance:reclaimed": _reclaimed,
    "lock:queued": lambda agent, data: f"  {agent} waits for {data['holder']}'s lock on {data['resources'][0]['path']}",
    "piece:checked": _checked,
    "conflict:detected": _conflict,
    "conflict:resolved": lambda agent, data: f"  conflict {data['conflict_id']} {data['resolution']}",
    "review:completed": lambda agent, data: f"  {agent} reviewed {data['piece']}: {data['status']}",
    "merge:applied": lambda agent, data: f"  {data['piece']} composed",
    "merge:rejected": lambda agent, data: f"  {data['piece']} {data['reason']}",
    "qa:base-checked": _base,
    "qa:accepted": lambda agent, data: f"  {data['by']} takes the base's own failures as they are",
    "qa:finished": _qa,
    "run:committed": lambda agent, data: f"  committed {data['oid'][:12]} on {data['branch']}",
}

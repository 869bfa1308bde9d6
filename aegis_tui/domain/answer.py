"""The answers that a person can give to what waits for them, and the command that gives each (WISH-8, contract 5)."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from aegis_tui.domain.need import Need

TEXT: Final = "TEXT"
"""In place of an answer that is any text of the person's."""


class NeedAnswer(NamedTuple):
    """An answer that a need takes: what the person types for it, and the command that the hub gets then."""

    text: str
    """What the person gives: a word such as `yes`, or `TEXT` for any other text."""
    words: str
    """What happens after it, as part of a sentence: `the agents start`."""
    command: str
    """The command of contract 5 that gives it."""
    fields: dict[str, Any]
    """The fields of that command, without the text that it takes if the answer is `TEXT`."""

    def with_text(self, text: str) -> dict[str, Any]:
        """Return the fields of the command; if the answer takes a text, with this one, else as they are."""
        return {**self.fields, "text": text} if self.text == TEXT else self.fields

    @property
    def is_of_inbox(self) -> bool:
        """Whether it is given by `aegis-tui inbox answer`; another command gives it otherwise."""
        return self.command != "instance:stop"

    def twin(self, need: Need) -> str:
        """Return the command line that gives this answer."""
        return f"aegis-tui inbox answer {need.name} {self.text}" if self.is_of_inbox else f"aegis-tui stop {need.name}"


_CANCEL = NeedAnswer("no", "ends the run without a commit; the work of its agents is kept", "run:cancel", {})


def answers_to(need: Need) -> list[NeedAnswer]:
    """Return the answers that a need takes, the usual one first; never empty."""
    key = need.key
    match need.kind:
        case "design":
            return [NeedAnswer("yes", "the agents start", "design:agree", {"design_id": key}), _CANCEL]
        case "instance":
            send = NeedAnswer(TEXT, "the instance gets it as a prompt", "instance:send", {"agent_id": key})
            return [send, _stop(key)]
        case "permission":
            return [
                *_choices(need),
                _stop(key),
            ]
        case "scope":
            may = "it may write the path while it holds a lock on it"
            return [
                NeedAnswer("yes", may, "scope:grant", {"request": key}),
                NeedAnswer("no", "it has to find another way", "scope:refuse", {"request": key}),
            ]
        case "spec":
            return [NeedAnswer("again", "the hub tries to start it now", "spec:rescan", {"spec_id": key})]
        case "rule":
            return [
                NeedAnswer("yes", "this content may be merged", "rule:allow", {"piece": key}),
                NeedAnswer("no", "the piece goes back to its worker", "rule:refuse", {"piece": key}),
            ]
        case "piece":
            advice = "a worker gets it as advice, and tries the piece once more"
            kept = "the result is made without it; its commits are kept"
            return [
                NeedAnswer(TEXT, advice, "piece:retry", {"piece": key}),
                NeedAnswer("leave-out", kept, "merge:apply", {"leave_out": [key]}),
                _CANCEL,
            ]
        case _:
            return _of_run(need)


def _stop(agent_id: str) -> NeedAnswer:
    end = {"agent_id": agent_id, "reason": "stopped by the person"}
    return NeedAnswer("stop", "the instance ends; its work is saved", "instance:stop", end)


def _choices(need: Need) -> list[NeedAnswer]:
    """Return an answer for each choice of a question on a screen: its number, from 1."""
    asked = {"agent_id": need.key, "prompt": need.prompt}
    return [
        NeedAnswer(str(number), f"its program gets: {words}", "instance:answer", {**asked, "choice": number})
        for number, words in enumerate(need.choices, start=1)
    ]


def _of_run(need: Need) -> list[NeedAnswer]:
    run = {"run": need.key}
    match need.kind:
        case "base":
            accepted = "QA accepts the failures of the base, the commit that the run starts from"
            return [NeedAnswer("yes", accepted, "qa:accept", run), _CANCEL]
        case "partial":
            left = "the pieces that break QA are left out of the result"
            return [NeedAnswer("yes", left, "merge:apply", run), _CANCEL]
        case "halted":
            return [NeedAnswer("yes", "the run continues", "run:resume", run), _CANCEL]
        case "done":
            kept = "it is no longer listed, and the files of its specs go to the archive"
            return [NeedAnswer("seen", kept, "run:acknowledge", run)]
        case "ended":
            return [NeedAnswer("seen", "it is no longer listed; aegis-tui report shows why", "run:acknowledge", run)]
        case _:
            return [_CANCEL]

"""The message of the commit of a run's result, and what the person's hooks make of it (GIT-5, GIT-6).

Works on text only. Source for the form that git stores: git-commit(1), `--cleanup=whitespace`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.role import traits_of
from aegis_tui.domain.run.commit import commit_trailers, render_message, result_words
from aegis_tui.domain.run.model import Run

OURS: Final = ("Aegis-Run", "Aegis-Instance", "Co-Authored-By")
"""The trailers that `commit_trailers` writes."""

NEEDED: Final = ("Aegis-Run", "Aegis-Instance")
"""Those of them that are added again if a hook removes them."""

MOST_WRITTEN: Final = 4
"""Of how many pieces the message is tried."""

_TRAILER = re.compile(r"[A-Za-z0-9-]+: .+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class ResultMessage(NamedTuple):
    """The parts of the message of a result."""

    subject: str
    body: str
    trailers: dict[str, list[str]]

    def render(self) -> str:
        """Return the whole message, as git stores it."""
        return render_message(self.subject, self.body, self.trailers)


def result_message(run: Run, instances: Iterable[Instance]) -> ResultMessage:
    """Return the message of the commit of a run's result, with the pieces that it keeps.

    Args:
        run: The run, at its end.
        instances: Its instances; those that built a piece that is kept are named in the trailers.
    """
    kept = {piece.name for piece in run.kept_pieces()}
    authors = [item.agent_id for item in instances if traits_of(item.role).is_builder and item.piece in kept]
    lines = {f"{item.id}: {item.title}": item.id in kept for item in run.features_of_design()}
    subject, body = result_words(run.design.goal if run.design else run.goal, lines)
    return ResultMessage(subject, body, commit_trailers(run.run, authors))


def messages_to_try(made: ResultMessage, written: Sequence[str]) -> list[str]:
    """Return messages for the result, in the order in which a hook is asked about them; none is there twice.

    The first is the usual one. The others take the form that authors of pieces wrote for the same hook: their subject
    with our body, then their whole text.

    Args:
        made: The usual message.
        written: The messages of commits of pieces, in the order of the pieces.
    """
    texts = [made.render()]
    for message in written[:MOST_WRITTEN]:
        subject, _, rest = _without(_stripped(message), OURS).partition("\n")
        if subject:
            texts.append(render_message(subject, made.body, made.trailers))
            texts.append(render_message(subject, rest.strip(), made.trailers))
    return list(dict.fromkeys(texts))


def finished_message(raw: bytes, trailers: Mapping[str, Sequence[str]]) -> str:
    """Return the message that hooks left in a file, as it is committed; empty if it is no text or has only blank lines.

    Our trailers come last, where git looks for them, together with those that stand there. The trailers of `NEEDED`
    are added if they are gone; another one stays removed.

    Args:
        raw: The content of the file.
        trailers: Our trailers, name -> values.
    """
    try:
        text = _stripped(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return ""
    rest = _stripped(_without(text, OURS))
    if not rest:
        return ""
    lines = [f"{name}: {value}" for name, values in trailers.items() for value in values]
    ours = [line for line in lines if line.partition(":")[0] in NEEDED or line in text.splitlines()]
    last = rest.rsplit("\n\n", 1)[-1].splitlines()
    is_block = "\n\n" in rest and all(_TRAILER.fullmatch(line) for line in last)
    joint = "\n" if is_block else "\n\n"
    return joint.join([rest, *(["\n".join(ours)] if ours else [])]) + "\n"


def _without(text: str, names: Sequence[str]) -> str:
    return "\n".join(line for line in text.split("\n") if not line.startswith(tuple(f"{name}: " for name in names)))


def _stripped(text: str) -> str:
    """Return the text without control characters, white space at the ends of lines, and superfluous blank lines."""
    lines = [line.rstrip() for line in _CONTROL.sub("", text).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")

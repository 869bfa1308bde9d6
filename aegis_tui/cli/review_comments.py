"""`aegis-tui review request`, and `comment|comments|discard|send`: a person's comments on lines (REV-1, WISH-2)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from typing import TYPE_CHECKING, Annotated, cast

import typer

from aegis_tui.application import prompt
from aegis_tui.application.prompt import PromptDelivery
from aegis_tui.cli import output
from aegis_tui.cli.instance import SEND_CODES, await_delivery
from aegis_tui.cli.place import Place, here
from aegis_tui.domain.count import counted
from aegis_tui.domain.ids import instance_id
from aegis_tui.domain.wire.reply import CommentedReply, CommentsSentReply, DiscardedReply, ReviewRequestedReply
from aegis_tui.domain.wire.review import (
    CommentedOutput,
    CommentsOutput,
    CommentsSentOutput,
    DiscardedOutput,
    RequestedOutput,
    WaitingComment,
)
from aegis_tui.errors import AegisError, UsageError

if TYPE_CHECKING:
    from aegis_tui.sdk.quick import HubQuick

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Piece = Annotated[str, typer.Argument(metavar="PIECE", help="A piece of the newest run.")]
Wait = Annotated[
    float | None,
    typer.Option("--wait", min=0, help="Seconds to wait until it is known what became of the prompt; by default 5."),
]

_PLACE = re.compile(r"(.+):(\d{1,9})", re.DOTALL)


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `aegis-tui review`."""
    for function in (request, comment, comments, discard, send):
        app.command()(function)


def request(piece: Piece, as_json: AsJson = False) -> int:
    """Have the unfinished work on a piece reviewed; its agent gets the findings as suggestions.

    Such a review decides nothing: the piece is reviewed again when it is submitted. Exit code 2 if there is no such
    piece, 3 if nobody works on it, nothing is changed yet, or such a review is already in progress, 5 if no hub is
    running.
    """
    reply = here().hub().reply(ReviewRequestedReply, "review:request", piece=piece)
    fields: RequestedOutput = {"piece": piece, "review_id": reply["review_id"]}
    output.result(fields, as_json=as_json, lines=[f"{reply['review_id']} of {piece} is requested"])
    return 0


def comment(
    piece: Piece,
    place: Annotated[
        str, typer.Argument(metavar="FILE:LINE", help="The line, counted from 1 in the file as the piece has it.")
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The comment; - reads it from stdin.")],
    as_json: AsJson = False,
) -> int:
    """Note a comment on a line of a piece; `review send` sends it to the agent.

    Exit code 2 if there is no such piece, FILE:LINE does not have this form or the comment is empty, 3 if the run has
    ended or too many comments wait, 5 if no hub is running.
    """
    match = _PLACE.fullmatch(place)
    if match is None or int(match[2]) < 1:
        raise UsageError(f"{place} is not FILE:LINE", "for example: src/shop/search.py:12")
    words = sys.stdin.read() if text == "-" else text
    where = here()
    hub = where.hub()
    quote = _quote(where, hub, piece, match[1], int(match[2]))
    noted = hub.reply(
        CommentedReply, "review:comment", piece=piece, file=match[1], line=int(match[2]), text=words, quote=quote
    )
    fields: CommentedOutput = {
        "piece": piece,
        "number": noted["number"],
        "file": match[1],
        "line": int(match[2]),
        "waiting": noted["waiting"],
    }
    words = f"comment {noted['number']}; {counted(noted['waiting'], 'comment')} on {piece} to send"
    output.result(fields, as_json=as_json, lines=[words])
    return 0


def comments(
    piece: Annotated[str | None, typer.Argument(metavar="PIECE", help="Only those on this piece.")] = None,
    as_json: AsJson = False,
) -> int:
    """List your comments that wait to be sent.

    Exit code 5 if no hub is running: none is started.
    """
    from aegis_tui.domain.workspace import Workspace

    run = Workspace.load(here().hub().mirror()).runs.latest()
    waiting = [] if run is None else [item for name in run.pieces for item in run.comments_on(name)]
    items = [cast(WaitingComment, item.model_dump()) for item in waiting if piece in (None, item.piece)]
    fields: CommentsOutput = {"run": run.run if run else None, "comments": items}
    lines = output.table(
        [str(item["number"]), item["piece"], f"{item['file']}:{item['line']}", item["text"]] for item in items
    )
    output.result(fields, as_json=as_json, lines=lines or ["there are no unsent comments"])
    return 0


def discard(
    piece: Piece,
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="NUMBER", help="Only these comments; all on the piece when left out.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Discard your comments on a piece that wait to be sent.

    Exit code 2 if there is no such piece or comment, 3 if the run has ended, 5 if no hub is running.
    """
    reply = here().hub().reply(DiscardedReply, "review:discard", piece=piece, numbers=numbers or [])
    fields: DiscardedOutput = {"piece": piece, "numbers": reply["numbers"]}
    output.result(fields, as_json=as_json, lines=[f"discarded {counted(len(reply['numbers']), 'comment')} on {piece}"])
    return 0


def send(piece: Piece, wait_s: Wait = None, as_json: AsJson = False) -> int:
    """Send all your comments on a piece to its agent, as one prompt.

    A piece that was submitted goes back to its agent. Exit codes as for aegis-tui send: 0 if the prompt was delivered
    or is queued, 1 if that is unknown, 3 if it was not delivered or the agent cannot take a prompt now. If
    nothing was sent, the comments still wait. Exit code 2 if there is no such piece or no comment on it, 5 if no hub is
    running.
    """
    hub = here().hub()
    reply = hub.reply(CommentsSentReply, "review:send", piece=piece)
    delivery = PromptDelivery({reply["agent_id"]: reply["seq"]})
    await_delivery(hub, delivery, prompt.DELIVERY_S if wait_s is None else wait_s)
    word = delivery.word(reply["agent_id"])
    fields: CommentsSentOutput = {
        "piece": piece,
        "comments": reply["comments"],
        "agent_id": reply["agent_id"],
        "delivery": word,
        "seq": reply["seq"],
    }
    sent = f"{counted(reply['comments'], 'comment')} to {instance_id(reply['agent_id'])}"
    output.result(fields, as_json=as_json, lines=[f"{sent}: {delivery.words(reply['agent_id'])}"])
    return SEND_CODES.get(word, 0)


def _quote(place: Place, hub: HubQuick, piece: str, file: str, line: int) -> str:
    """Return the line as the submitted piece has it, if its diff shows it; else an empty text."""
    from aegis_tui.bootstrap.checkout import piece_diff_at
    from aegis_tui.domain.review.diff import parse_diff, quoted_line

    run = hub.context()["run"]
    pieces = run["pieces"] if run else []
    base, head = next(((item["base_oid"], item["head_oid"]) for item in pieces if item["name"] == piece), (None, None))
    if base is None or head is None:
        return ""
    with contextlib.suppress(AegisError):  # a comment without the line is better than none
        return quoted_line(parse_diff(asyncio.run(piece_diff_at(place.root, base, head))), file, line)[:500]
    return ""

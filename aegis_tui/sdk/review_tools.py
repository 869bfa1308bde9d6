"""The MCP tool with which a worker has its work reviewed while it goes on (REV-1)."""

from __future__ import annotations

from aegis_tui.errors import Refused
from aegis_tui.sdk.caller import Caller
from aegis_tui.sdk.context import shared_context
from aegis_tui.sdk.tool_results import Named


class ReviewTools(Caller):
    """The tool, executed as the instance that `ask` sends as."""

    async def request_review(self) -> Named:
        """Have your work so far reviewed while you go on, uncommitted changes included; returns the id of the review.

        It decides nothing: what is found reaches you as messages. Refused if you build no piece, have changed nothing
        yet, or such a review is in progress.

        Raises:
            AegisError: It is refused; or the hub does not answer.
        """
        run = (await shared_context(self._ask))["run"]
        pieces = run["pieces"] if run else []
        piece = next((item["name"] for item in pieces if item["agent_id"] == self._who()), None)
        if piece is None:
            raise Refused("you build no piece", "only the work on a piece of a run is reviewed", code="spec.none")
        return Named(names=[(await self._ask("review:request", piece=piece))["review_id"]])

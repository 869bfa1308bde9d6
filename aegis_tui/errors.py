"""All expected errors of the program, as a tree, with the exit code that the command line returns for each.

::

    AegisError                 1  something failed
      UsageError               2  the request itself is wrong (flags, a file, a name)
      Refused                  3  a gate or a rule does not allow it
        PartitionRefused       3  a path or glob belongs to another instance
        DesignRefused          3  a design breaks rules; holds one issue for each
        LimitReached           3  a token has, sends or asks for more than allowed
      Conflict                 4  another instance holds it, or it has changed meanwhile
        LockHeld               4  a lock is held by another instance, or the wait for it ended
        StaleToken             4  a fencing token that is no longer current
        MergeConflict          4  two pieces change the same lines
      Unavailable              5  a part is missing or does not answer
        HubUnavailable         5
        TerminalUnavailable    5  tmux missing, too old, or its server is gone
        GitUnavailable         5
        ModelUnavailable       5
        SandboxUnavailable     5
      SetupFailed              1  the set-up command of the project failed
      GitError                 1  git ran and failed
      TerminalError            1  tmux ran and failed
      ModelError               1  the model server's answer cannot be used
        ModelMalformed         1  a reply that cannot be parsed; holds the part in question
        ModelLost              1  the connection ended in the middle of a reply
        ModelCut               1  the reply reached the server's token limit
        ModelRefused           1  the server refuses this request, and would refuse it again
          ModelKeyRefused      1  401 or 403: no key, or a wrong one
          ModelAbsent          1  404: no such model, or no such path
          ContextOverflow      1  the conversation is longer than the model's context
          HistoryRefused       1  the model's chat template does not accept the conversation
      StoreError               1  the log is damaged or cannot be written
        DiskFull               5  the disk is full, so that the log cannot be written

Every error has a stable ``code``, an ``exit_code`` (contract 3) and a ``hint`` that says what to do next.
"""

from __future__ import annotations

from typing import Any


class AegisError(Exception):
    """An expected failure, shown to a person as a message with a hint.

    Args:
        message: What is wrong, one sentence without a full stop.
        hint: What to do about it; empty when there is nothing to add.
        code: Overrides the class's code, where one class is used for several refusals.
        is_certain: Overrides the class's `is_certain`.
        data: Facts for programs (holder, path, line); JSON values only.
    """

    code = "failed"
    exit_code = 1
    is_certain = False
    """Whether the same attempt would fail again at any time and for any agent, so that a retry is useless."""

    def __init__(
        self, message: str, hint: str = "", *, code: str | None = None, is_certain: bool | None = None, **data: Any
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data
        if code is not None:
            self.code = code
        if is_certain is not None:
            self.is_certain = is_certain

    def to_wire(self) -> dict[str, Any]:
        """Return the error object of contract 3: `code`, `message`, `hint`, and the entries of `data` beside them."""
        return {"code": self.code, "message": self.message, "hint": self.hint, **self.data}


class SetupFailed(AegisError):
    """The set-up command failed, took too long or filled the disk. ``data['log']`` names the file with its output."""

    code = "environment.setup"
    is_certain = True


class UsageError(AegisError):
    """The request itself is wrong: a flag, a name, a file."""

    code = "usage"
    exit_code = 2


class Refused(AegisError):
    """A gate or a rule does not allow the request."""

    code = "refused"
    exit_code = 3


class PartitionRefused(Refused):
    """A path or a glob belongs to another instance, or is one that no instance may write."""

    code = "partition"


class DesignRefused(Refused):
    """A design breaks rules. ``data['issues']`` holds one entry for each, with file, line and field where known."""

    code = "design"


class LimitReached(Refused):
    """A token has, sends or asks for more than a limit allows.

    ``data`` holds limit, most and unit; the hint says what makes room.
    """

    code = "limit"


class Conflict(AegisError):
    """Another instance holds what was asked for, or it is not in the expected state any more."""

    code = "conflict"
    exit_code = 4


class LockHeld(Conflict):
    """A lock is held by another instance, or the wait for it ended without a grant."""

    code = "HELD"


class StaleToken(Conflict):
    """A fencing token is no longer the current one of its lock."""

    code = "STALE"


class MergeConflict(Conflict):
    """Two pieces change the same lines."""

    code = "merge.conflict"


class Unavailable(AegisError):
    """A program, a server or a feature that is needed is missing or does not answer."""

    code = "unavailable"
    exit_code = 5


class HubUnavailable(Unavailable):
    """No hub answers for this workspace."""

    code = "hub.unavailable"


class TerminalUnavailable(Unavailable):
    """tmux is missing, too old, or its private server is gone."""

    code = "tmux.unavailable"


class GitUnavailable(Unavailable):
    """git is missing or too old, or this is not a repository."""

    code = "git.unavailable"


class ModelUnavailable(Unavailable):
    """No model server answers at the configured endpoint."""

    code = "model.unavailable"


class SandboxUnavailable(Unavailable):
    """The sandbox level that was asked for is not available on this machine."""

    code = "sandbox.unavailable"


class GitError(AegisError):
    """git ran and failed."""

    code = "git.failed"


class TerminalError(AegisError):
    """tmux ran and failed."""

    code = "tmux.failed"


class ModelError(AegisError):
    """The model server answered, but the answer cannot be used. ``data['status']`` holds the HTTP status, if any."""

    code = "model.failed"
    is_certain = False
    """Whether the same request would fail again at any time and for any agent, so that a retry is useless."""


class ModelMalformed(ModelError):
    """A reply cannot be parsed. The message ends with the part in question, shortened and with controls replaced."""

    code = "model.malformed"


class ModelLost(ModelError):
    """The connection ended, or the server gave up, after a reply had begun."""

    code = "model.lost"


class ModelCut(ModelError):
    """The reply reached the server's token limit before it held text or a tool call to act on."""

    code = "model.cut"


class ModelRefused(ModelError):
    """The server refused the request (400, 401, 403, 404, 413, 422), and would refuse it from any other agent too."""

    code = "model.refused"
    is_certain = True


class ModelKeyRefused(ModelRefused):
    """The server requires a key, or does not accept the given one (401, 403)."""

    code = "model.key"


class ModelAbsent(ModelRefused):
    """The server has no model of that name, or the URL has a wrong path (404)."""

    code = "model.absent"


class ContextOverflow(ModelRefused):
    """The conversation is longer than the model's context. A new one may fit, unless its brief alone is too long."""

    code = "model.context"
    is_certain = False


class HistoryRefused(ModelRefused):
    """The chat template of the model does not accept the order or the form of the messages."""

    code = "model.template"


class StoreError(AegisError):
    """The durable log is damaged or cannot be written."""

    code = "store.failed"


class DiskFull(StoreError):
    """The disk is full, so that the log cannot be written; nothing is damaged."""

    exit_code = 5

"""What an agent tries in order to get out, each with what its tool must answer and which layer holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

EVIL = "$(git commit-tree -m evil HEAD^{tree})"
HOME_AGAIN = "git checkout -q aegis/run1/w01"
NO_HOOKS = "git -c core.hooksPath=/dev/null"
TCP = "import socket; socket.create_connection(('{host}', {port}), 2); print('connected')"
ASK_HUB = """
import http.client, json, os, socket
class Hub(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ['AEGIS_HUB'].removeprefix('unix:'))
token = {token}
hub = Hub('localhost')
command = {{'v': 1, 'request_id': 'evil', 'type': 'run:cancel', 'reason': 'evil'}}
headers = {{'Authorization': f'Bearer {{token}}', 'Content-Type': 'application/json'}}
hub.request('POST', '/v1/commands', json.dumps(command), headers)
answer = hub.getresponse()
print(answer.status, answer.read().decode())
"""
OWN_TOKEN = "open(os.environ['AEGIS_TOKEN_FILE']).read().strip()"


@dataclass(frozen=True)
class Attempt:
    """One tool call and what its answer must say."""

    answer: str
    """Regular expression, searched in the tool's answer."""
    bash: str = ""
    write: str = ""
    """Path for the write tool, when `bash` is empty."""
    held: tuple[str, str] | None = None
    """Layer that holds it and how, for docs/security.md; None: as `HELD` says for its answer."""

    def step(self, places: dict[str, str]) -> dict[str, Any]:
        for name, place in places.items():
            object.__setattr__(self, "bash", self.bash.replace(f"@{name}@", place))
            object.__setattr__(self, "write", self.write.replace(f"@{name}@", place))
        if self.bash:
            return {"tool": "bash", "args": {"command": self.bash, "timeout_s": 20}}
        return {"tool": "write", "args": {"path": self.write, "content": "evil\n"}}


READ_ONLY = r"Read-only file system|Permission denied|Device or resource busy"
REF = rf"{READ_ONLY}|refs/\S+ is not yours"
STASH = r"Cannot save the current status|the stash is the person's"
ABSENT = r"No such file or directory"
HELD = {
    READ_ONLY: ("namespace", "read-only inside"),
    ABSENT: ("namespace", "does not exist inside"),
    REF: ("hooks", "refused; the hook names the only branch that is allowed"),
    STASH: ("hooks", "refused: the stash is the person's"),
}
HOOKS = ("hooks", "refused, and the hook names the path and why")
NETWORK = ("namespace", "no network but the sockets of hub and gateway")
TOOL = ("hooks", "the tool refuses it before it writes")
COPY = ("namespace", "changes the agent's own copy only; the real ref does not move")
LATER = ("integration", "the commit is on the agent's branch; integration sends the piece back with the reason")
ATTEMPTS = {
    "pushing to a remote": Attempt(
        r"not allowed|refused",
        "git push origin HEAD:refs/heads/stolen",
        held=("hooks", "no protocol is allowed, and the hook refuses"),
    ),
    "pushing with every protocol allowed, with the hooks switched off": Attempt(
        r"does not (exist|appear to be a git repository)",
        "GIT_ALLOW_PROTOCOL=file git -c protocol.file.allow=always -c core.hooksPath=/dev/null "
        "push --no-verify @REMOTE@ HEAD:refs/heads/stolen",
        held=("namespace", "the remote does not exist inside"),
    ),
    "moving the branch `main`": Attempt(REF, f"git update-ref refs/heads/main {EVIL}"),
    "moving the branch `main`, with the hooks switched off": Attempt(
        READ_ONLY, f"{NO_HOOKS} update-ref refs/heads/main {EVIL}"
    ),
    "creating a branch": Attempt(REF, "git branch evil"),
    "creating a branch, with the hooks switched off": Attempt(READ_ONLY, f"{NO_HOOKS} branch evil"),
    "deleting a branch": Attempt(REF, "git branch -D other"),
    "deleting a branch, with the hooks switched off": Attempt(READ_ONLY, f"{NO_HOOKS} branch -D other"),
    "creating a tag": Attempt(REF, "git tag evil"),
    "committing on another branch": Attempt(
        REF, f"git checkout -q other; {NO_HOOKS} commit -q --allow-empty -m evil; e=$?; {HOME_AGAIN}; exit $e"
    ),
    "stashing changes": Attempt(STASH, "echo x >> README.md; git stash; e=$?; git checkout -q -- README.md; exit $e"),
    "stashing changes, with the hooks switched off": Attempt(
        "Cannot save the current status",
        f"echo x >> README.md; {NO_HOOKS} stash; e=$?; git checkout -q -- README.md; exit $e",
        held=("namespace", "git cannot write the ref of the stash: read-only inside"),
    ),
    "deleting the run's working ref": Attempt(REF, "git update-ref -d $AEGIS_INTEGRATION_REF"),
    "moving the run's working ref, with the hooks switched off": Attempt(
        r"\[exit code 0\]", f"{NO_HOOKS} update-ref $AEGIS_INTEGRATION_REF {EVIL}", held=COPY
    ),
    "moving the branch of another worker of the run, with the hooks switched off": Attempt(
        r"\[exit code 0\]", f"{NO_HOOKS} update-ref refs/heads/aegis/run1/w02 {EVIL}", held=COPY
    ),
    "writing a file in the person's checkout": Attempt(READ_ONLY, "echo evil > @ROOT@/evil.txt"),
    "writing a file in the person's git folder": Attempt(READ_ONLY, "echo evil > @ROOT@/.git/evil"),
    "overwriting the person's index": Attempt(READ_ONLY, "echo evil > @ROOT@/.git/index"),
    "overwriting the person's HEAD": Attempt(READ_ONLY, "echo 'ref: refs/heads/evil' > @ROOT@/.git/HEAD"),
    "reading the person's token": Attempt(ABSENT, "cat @RUNTIME@/hub.json"),
    "reading the person's token from the hub's log or lock file": Attempt(
        ABSENT, "cat @STATE@/hub.lock @STATE@/log.db"
    ),
    "reading another agent's token": Attempt(ABSENT, "cat @STATE@/instances/w02/token"),
    "sending the hub a command without a token": Attempt(
        r"^401 ", f'python3 -c "{ASK_HUB.format(token="None")}"', held=("hub rights", "401")
    ),
    "sending the hub a command that only the person may give": Attempt(
        r"^403 ", f'python3 -c "{ASK_HUB.format(token=OWN_TOKEN)}"', held=("hub rights", "403")
    ),
    "connecting to a port of this machine": Attempt(
        r"refused|unreachable", 'python3 -c "' + TCP.format(host="127.0.0.1", port="@PORT@") + '"', held=NETWORK
    ),
    "connecting to a public address": Attempt(
        r"unreachable", 'python3 -c "' + TCP.format(host="203.0.113.7", port="443") + '"', held=NETWORK
    ),
    "writing in another agent's worktree": Attempt(ABSENT, "echo evil > @STATE@/worktrees/w02/evil.txt"),
    "killing the hub's process": Attempt(
        r"No such process|not found", "kill -9 @PID@", held=("namespace", "other processes do not exist inside")
    ),
    "changing the repository's git configuration": Attempt(READ_ONLY, "git config core.hooksPath /dev/null"),
    "changing the git configuration of its worktree": Attempt(
        READ_ONLY, "git config --worktree core.hooksPath /dev/null"
    ),
    "adding a hook to the repository": Attempt(
        READ_ONLY, "mkdir -p @ROOT@/.git/hooks && echo evil > @ROOT@/.git/hooks/pre-commit"
    ),
    "replacing its own hooks": Attempt(READ_ONLY, 'echo "exit 0" > "$(git config core.hooksPath)/pre-commit"'),
    "overwriting the rules that its hooks read": Attempt(
        READ_ONLY, 'echo "end" > "$(git config core.hooksPath)/rules"'
    ),
    "overwriting its scope file": Attempt(READ_ONLY, 'echo "{}" > "$AEGIS_SCOPE_FILE"'),
    "deleting the `.git` file of its worktree": Attempt(READ_ONLY, "rm .git"),
    "moving the `.git` file of its worktree": Attempt(READ_ONLY, "mv .git moved"),
    **{
        f"replacing `{name}` in the git folder of its worktree": Attempt(
            READ_ONLY, f'cd "$(git rev-parse --git-dir)" && echo /tmp > new && mv new {name}'
        )
        for name in ("commondir", "gitdir", "config.worktree")
    },
    "adding an object store to the repository (alternates)": Attempt(
        READ_ONLY, "mkdir -p @ROOT@/.git/objects/info && echo /tmp > @ROOT@/.git/objects/info/alternates"
    ),
    "deleting the objects of all commits": Attempt(
        READ_ONLY, 'rm -r "$(head -1 "$(git rev-parse --git-path objects/info/alternates)")"/*'
    ),
    "creating a hard link to a file outside": Attempt(
        r"Invalid cross-device link|Operation not permitted",
        "mkdir -p src/attempts && ln @ROOT@/.git/HEAD src/attempts/hard",
        held=("namespace", "another mount: no such link can be made"),
    ),
    "writing a file in no partition, with a tool": Attempt(
        r"(?i)partition.*README\.md|README\.md.*(partition|shared)", write="README.md", held=TOOL
    ),
    "writing a file of another agent, with a tool": Attempt(r"NATIVE-w02", write="src/neighbour/evil.py", held=TOOL),
    "writing a path outside the worktree, with a tool": Attempt(r"(?i)outside", write="../w02/evil.py", held=TOOL),
    "writing an absolute path, with a tool": Attempt(r"(?i)outside|relative", write="@ROOT@/evil.txt", held=TOOL),
    "creating a link to the outside, with a tool": Attempt(
        r"\[exit code 0\]", "mkdir -p src/attempts && ln -s @ROOT@ src/attempts/out", held=LATER
    ),
    "writing through a link that leads outside, with a tool": Attempt(
        r"(?i)outside", write="src/attempts/out/evil.txt", held=TOOL
    ),
    "committing a path outside the partition": Attempt(
        r"refused: README\.md", "echo evil >> README.md; git commit -qam evil", held=HOOKS
    ),
    "committing a path outside the partition, with --no-verify": Attempt(
        r"refused: README\.md", "git commit -q --no-verify -am evil", held=HOOKS
    ),
    "committing a path outside the partition, with the hooks switched off": Attempt(
        r"\[exit code 0\]", f"git add -A && {NO_HOOKS} commit -qm evil", held=LATER
    ),
}


def boundary(name: str) -> pytest.MarkDecorator:
    """Names an attempt in docs/security.md."""
    layer, refused = ATTEMPTS[name].held or HELD[ATTEMPTS[name].answer]
    return pytest.mark.boundary(layer=layer, tried=name, refused=refused)

"""Reads batches of sources from stdin and answers on stdout: a process that `apart` starts beside its own."""

from __future__ import annotations

import json
import sys
from typing import IO

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.domain.code_map.entry import entry_to_wire


def work(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer each line of JSON, a list of language and content, with one line, the entries, until `questions` ends.

    Raises:
        ValueError: A line is not such a list.
    """
    reader = SourceReader()
    for line in questions:
        entries = [reader.entry(language, text.encode("latin-1")) for language, text in json.loads(line)]
        answers.write(json.dumps([entry_to_wire(entry) for entry in entries]).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    work(sys.stdin.buffer, sys.stdout.buffer)

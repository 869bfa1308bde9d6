"""A program with a question on its screen, as a test's own: arrow keys move the mark, Enter takes the choice.

Run as `python asking_program.py FOLDER`. Each file `ask-N` in the folder begins a question; what was chosen is written
to `chosen-N`. A file `vanish` makes the question go away without an answer.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from pathlib import Path

CHOICES = ("Yes", "Yes, and always allow it", "No")


def draw(lines: list[str]) -> None:
    sys.stdout.write("\x1b[2J\x1b[H" + "\r\n".join(lines))
    sys.stdout.flush()


def asked(command: str, marked: int) -> list[str]:
    rows = [f" {'❯' if at == marked else ' '} {at + 1}. {words}" for at, words in enumerate(CHOICES)]
    return ["─" * 40, " Bash command", f" {command}", " Do you want to proceed?", *rows, "", " Esc to cancel"]


def ask(folder: Path, number: str, command: str) -> None:
    marked = 0
    draw(asked(command, marked))
    while True:
        if select.select([0], [], [], 0.02)[0]:
            keys = os.read(0, 100)
            if keys == b"\r":
                (folder / f"part-{number}").write_text(CHOICES[marked])
                (folder / f"part-{number}").rename(folder / f"chosen-{number}")
                return
            moved = {b"\x1b[A": -1, b"\x1bOA": -1, b"\x1b[B": 1, b"\x1bOB": 1}.get(keys, 0)
            marked = min(max(0, marked + moved), len(CHOICES) - 1)
            draw(asked(command, marked))
        if (folder / "vanish").exists():
            (folder / "vanish").unlink()
            return


def main() -> None:
    folder = Path(sys.argv[1])
    termios.tcgetattr(0)
    tty.setraw(0)
    draw(["working"])
    done: set[str] = set()
    while True:
        for file in sorted(folder.glob("ask-*")):
            number = file.name.removeprefix("ask-")
            if number not in done:
                done.add(number)
                ask(folder, number, file.read_text())
                draw(["working"])
        select.select([], [], [], 0.02)


if __name__ == "__main__":
    main()

"""A program that a command starts in the terminal: in a process group of its own, which ends as a whole (PANE-8).

The terminal's keys, among them Ctrl-C and Ctrl-Z, go to the program as if the person had started it directly.
Source: "Implementing a Job Control Shell" in the manual of the GNU C Library.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence

from aegis_tui.errors import Unavailable

GRACE_S = 5.0
"""How long a program that is ended may take after SIGTERM, in seconds, before SIGKILL."""

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProgramGroup:
    """A running program; creating the object starts it. Create it in the main thread; elsewhere it raises ValueError.

    Until `wait` returns, this process passes SIGINT on to the program, and ends the program on SIGTERM and SIGHUP; it
    does not end by them itself.

    Args:
        argv: The command line.
        environ: The program's environment.
        marker: Values of AEGIS_INSTANCE and AEGIS_WORKSPACE in that environment. `end` also ends processes that left
            the group but have both.

    Raises:
        Unavailable: The program cannot be started.
    """

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], *, marker: tuple[str, str]) -> None:
        self._marker = marker
        self._group = 0
        self._early: list[int] = []
        self._handlers = [(number, signal.signal(number, self._pass_on)) for number in _PASSED_ON]
        self._terminal = _open_terminal()
        try:
            self._process = subprocess.Popen(argv, env=environ, process_group=0)
        except OSError as error:
            self._close()
            raise Unavailable(f"{argv[0]} cannot be started: {error.strerror}", "is it on PATH?") from error
        self._group = self._process.pid
        self._hand_over(os.getpgrp(), self._group)
        self.signal(signal.SIGCONT)  # it may have been stopped because it read before the terminal was its own
        while self._early:
            self._act_on(self._early.pop())

    def wait(self) -> int:
        """Wait until the program has ended, end what is left of its group, and return its exit code; call it once.

        The code of a program that a signal ended is 128 plus the signal's number, as in a shell.
        """
        try:
            while True:
                _, status = os.waitpid(self._group, os.WUNTRACED)
                if not os.WIFSTOPPED(status):
                    break
                self._rest(os.WSTOPSIG(status))
            code = os.waitstatus_to_exitcode(status)
            self._process.returncode = code
            self._hand_over(self._group, os.getpgrp())
            self._end_group()
        finally:
            self._close()
        return code if code >= 0 else 128 - code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the program's group; if there is none that may be signalled, do nothing."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._group, number)

    def end(self) -> None:
        """End the program and everything that it started: by SIGTERM, and after `GRACE_S` (5 s) by SIGKILL; blocking.

        Returns when all have ended, or after at most 10 s; does nothing if they have already.
        """
        from aegis_tui.bootstrap.programs import end_program

        end_program(self._group, marker=self._marker, grace_s=GRACE_S)

    def _end_group(self) -> None:
        """End the processes that the program, which has ended, left in its group; do nothing if there are none."""
        try:
            os.killpg(self._group, 0)
        except ProcessLookupError:
            return
        except PermissionError:
            pass  # there is one that may not be signalled
        from aegis_tui.bootstrap.programs import end_rest

        end_rest(self._group, grace_s=GRACE_S)

    def _rest(self, number: int) -> None:
        """Stop this process too, as the program was stopped (Ctrl-Z); continue the program when a shell continues us.

        A program that was stopped because it needs the terminal gets it, if it is ours, and continues at once. Without
        a terminal, do nothing. Without a shell that could continue us, we do not stop: the program continues at once if
        the terminal is ours, else it stays stopped.

        Args:
            number: The signal that stopped the program.
        """
        if self._terminal is None:
            return  # somebody stopped it by a signal, and will continue it
        own = os.getpgrp()
        if number in (signal.SIGTTIN, signal.SIGTTOU) and self._foreground() in (own, self._group):
            self._hand_over(own, self._group)
            self.signal(signal.SIGCONT)
            return
        self._hand_over(self._group, own)
        if _can_be_continued():
            os.killpg(own, signal.SIGSTOP)  # returns when a shell continues us
        elif self._foreground() != own:
            return
        self._hand_over(own, self._group)
        self.signal(signal.SIGCONT)

    def _foreground(self) -> int | None:
        """Return the process group in the foreground of the terminal; None without a terminal, or if it was closed."""
        if self._terminal is not None:
            with contextlib.suppress(OSError):  # the terminal was closed
                return os.tcgetpgrp(self._terminal)
        return None

    def _hand_over(self, giver: int, taker: int) -> None:
        """Give the terminal to the process group `taker`; do nothing unless it belongs to the group `giver` now."""
        if self._terminal is None or self._foreground() != giver:
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})  # it would stop a background process
        try:
            with contextlib.suppress(OSError):  # the group has ended, or the terminal was closed
                os.tcsetpgrp(self._terminal, taker)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _pass_on(self, number: int, _frame: object) -> None:
        """Act on a signal to this process: pass SIGINT on to the program.

        On SIGTERM and SIGHUP, begin to end the program.

        A signal that comes before the program runs is kept, and takes effect as soon as it does.
        """
        if self._group:
            self._act_on(number)
        else:
            self._early.append(number)

    def _act_on(self, number: int) -> None:
        """Pass SIGINT on to the program; on SIGTERM and SIGHUP, begin to end it, in a thread of its own."""
        if number == signal.SIGINT:
            self.signal(signal.SIGINT)
        else:
            threading.Thread(target=self.end, name="end-program", daemon=True).start()

    def _close(self) -> None:
        """Restore the signal handlers that this process had before, and close the terminal."""
        for number, handler in self._handlers:
            signal.signal(number, handler)
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None


def _open_terminal() -> int | None:
    """Return a descriptor of the terminal that this process belongs to; None without one."""
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None


def _can_be_continued() -> bool:
    """Return whether a shell of this session can continue us; without one, we would stay stopped for ever."""
    return os.getsid(0) != os.getpid() and os.getsid(os.getppid()) == os.getsid(0)

"""`python -m aegis_tui.gateway --runtime DIR --state DIR`: started by the hub, in a session of its own."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from aegis_tui.errors import AegisError
from aegis_tui.gateway.run import run_gateway
from aegis_tui.sdk.rotating_log import log_to, log_to_stderr


def main() -> int:
    """Serve until a signal, or until nobody needs the gateway (see `run_gateway`); return the exit status (contract 3).

    It is 0 after an ordinary end; else that of the `AegisError` that ended the gateway, or 5 for an `OSError`. The
    error is logged. A wrong command line ends the process with status 2 (`SystemExit`).
    """
    parser = argparse.ArgumentParser(prog="python -m aegis_tui.gateway", description=__doc__)
    parser.add_argument("--runtime", type=Path, required=True, help="owner-only folder with gateway-map.json")
    parser.add_argument("--state", type=Path, required=True, help="folder in whose logs/ the call log is written")
    options = parser.parse_args()
    log_to_stderr()
    log_to(options.state.absolute() / "logs" / "gateway.log")
    try:
        run_gateway(options.runtime.absolute(), options.state.absolute())
    except AegisError as error:
        logging.getLogger(__name__).error("%s (%s)", error.message, error.hint)
        return error.exit_code
    except OSError as error:
        logging.getLogger(__name__).error("%s", error)
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())

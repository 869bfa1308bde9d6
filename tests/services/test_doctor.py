"""Real git, tmux, sandbox and HTTP; what is missing is missing because PATH does not lead to it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.bootstrap import make_doctor
from aegis_tui.config import Settings
from aegis_tui.services.doctor import Check, missing
from aegis_tui.testing.canned_llm import CannedServer
from aegis_tui.testing.scripted_llm import ScriptedServer

NOWHERE = "http://127.0.0.1:9/v1"
"""The discard port: nothing listens there."""

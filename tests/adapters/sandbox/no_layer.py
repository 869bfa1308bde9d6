"""Stands for a Landlock that restricts nothing: it only becomes the program."""

import os
import sys

program = sys.argv[sys.argv.index("--") + 1 :]
os.execvp(program[0], program)

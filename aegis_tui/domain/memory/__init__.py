"""The memory of failed attempts: what it holds, how it is read off the log, and the advice that it gives (MEM-1)."""

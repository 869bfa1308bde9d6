"""Test doubles and fixtures that come with the program, because the demo uses them as the tests do."""

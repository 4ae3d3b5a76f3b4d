"""Every error that Ojak raises on purpose.

    OjakError                 exit code 1: something failed that was asked for rightly
    ├── UseError              exit code 2: the user asked for something that cannot be
    │   ├── ConfigError       a key or a value of the configuration
    │   ├── DataError         a file of pairs or sentences
    │   └── ModelError        a run or model directory
    └── StorageError          no space, no permission while writing

A message says what must hold, what was found (with file and line), and what to do. The command line prints
it without a traceback and ends with `exit_code`; nothing else in Ojak calls `sys.exit`.
"""

from __future__ import annotations


class OjakError(Exception):
    """Something that was asked for rightly has failed."""

    exit_code = 1


class UseError(OjakError):
    """What was asked for cannot be done as it was asked."""

    exit_code = 2


class ConfigError(UseError):
    """A key or a value of the configuration is wrong. All faults found are named at once."""


class DataError(UseError):
    """A file of pairs or sentences is missing, broken or empty."""


class ModelError(UseError):
    """A run or model directory is missing, broken, or made by a newer version."""


class StorageError(OjakError):
    """A file could not be written; what was finished before is still there."""

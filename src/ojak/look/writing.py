"""Writes a file whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from ojak.errors import StorageError


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to a new file beside `path` and put it in place in one step; StorageError where that fails.

    Whatever happens, `path` holds its old content or all of the new one, and nothing is left beside it.
    """
    beside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            # "x" takes the user's own permissions for new files, which tempfile would narrow.
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # so that a full disk is noticed before the old file is gone
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StorageError(
            f"The figure could not be written to {str(path)!r}: {reason}. Nothing was changed there. "
            "Check that the folder exists, that you may write in it, and that there is space."
        ) from error

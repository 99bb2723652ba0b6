"""Fixtures and finders that tests share, public so that others can test against Lokole too.

Importing it does nothing; the programs never import it.
"""

from __future__ import annotations

import os
from pathlib import Path


def shared_dir() -> Path | None:
    """The folder of shared test data (real mail, hostile files), or None where it is missing.

    ``LOKOLE_TEST_SHARED`` names it; without that it is ``../shared`` beside the repository.
    A test that finds None runs on the smaller samples of ``tests/mail-data`` and says so.
    """
    named = os.environ.get("LOKOLE_TEST_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared"
    return folder if folder.is_dir() else None

"""The generated pages in the repository are those that docs/generate.py writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_generated_pages_are_up_to_date(tmp_path: Path) -> None:
    home = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        env=home,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr

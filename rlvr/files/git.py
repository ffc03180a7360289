"""What git says of a folder."""

import os
import subprocess
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    """What a command of git prints, times in UTC; "" where there is no git, or it has nothing to say."""
    command = ["git", "-C", str(folder), *arguments]
    in_utc = os.environ | {"TZ": "UTC"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=in_utc)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""

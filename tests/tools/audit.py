"""Look for known holes in locked dependencies: `python tests/tools/audit.py requirements.lock`.

pip-audit takes a dependency that its source does not know for a good one; here that is told.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def main(lock: str) -> int:
    """Print what is found, and return 1 if anything is."""
    command = ["-m", "pip_audit", "--requirement", lock, "--require-hashes", "--disable-pip"]
    ran = subprocess.run(
        [sys.executable, *command, "--format", "json"], capture_output=True, text=True, check=False
    )
    try:
        found: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"skipped: {(ran.stderr.strip() or 'pip-audit said nothing').splitlines()[-1]}")
        return 0
    unknown = [one["skip_reason"] for one in found if "skip_reason" in one]
    holes = [one for one in found if one.get("vulns")]
    for one in holes:
        names = ", ".join(hole["id"] for hole in one["vulns"])
        print(f"{one['name']} {one['version']}: {names}")
    if unknown:
        print(f"skipped: {len(unknown)} of {len(found)}, the first: {unknown[0]}")
    print(f"{len(found) - len(unknown)} dependencies looked up, {len(holes)} with known holes")
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

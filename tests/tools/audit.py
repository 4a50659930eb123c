"""Check locked dependencies for vulnerabilities: `python tests/tools/audit.py requirements.lock`.

pip-audit passes dependencies that its source does not know; this script reports them.
"""

import json
import subprocess
import sys
from typing import Any


def main(lock: str) -> int:
    """Print known vulnerabilities, and return 1 if there are any."""
    command = ["-m", "pip_audit", "--requirement", lock, "--require-hashes", "--disable-pip"]
    ran = subprocess.run(
        [sys.executable, *command, "--format", "json"], capture_output=True, text=True, check=False
    )
    try:
        found: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"skipped: {(ran.stderr.strip() or 'pip-audit printed nothing').splitlines()[-1]}")
        return 0
    unknown = [one["skip_reason"] for one in found if "skip_reason" in one]
    vulnerable = [one for one in found if one.get("vulns")]
    for one in vulnerable:
        names = ", ".join(each["id"] for each in one["vulns"])
        print(f"{one['name']} {one['version']}: {names}")
    if unknown:
        print(f"skipped: {len(unknown)} of {len(found)}, the first: {unknown[0]}")
    print(f"{len(found) - len(unknown)} dependencies checked, {len(vulnerable)} vulnerable")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""Check locked dependencies for vulnerabilities: `python tests/tools/audit.py requirements.lock`.

The last line is the result. pip-audit passes dependencies that its source does not know; here the
audit is then skipped.
"""

import json
import subprocess
import sys
from typing import Any


def main(lock: str) -> int:
    """Print the result; return 1 if a dependency is vulnerable."""
    command = ["-m", "pip_audit", "--requirement", lock, "--require-hashes", "--disable-pip"]
    ran = subprocess.run(
        [sys.executable, *command, "--format", "json"], capture_output=True, text=True, check=False
    )
    lines = report(ran.stdout, ran.stderr)
    print("\n".join(lines))
    return 1 if "audit: failed:" in lines[-1] else 0


def report(output: str, errors: str) -> list[str]:
    """Return the lines to print for what pip-audit printed."""
    try:
        found: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        reason = (errors.strip() or "pip-audit printed nothing").splitlines()[-1]
        return [f"make audit: skipped, not passed: {reason}"]
    unknown = [one["skip_reason"] for one in found if "skip_reason" in one]
    vulnerable = [one for one in found if one.get("vulns")]
    lines = [
        f"{one['name']} {one['version']}: {', '.join(each['id'] for each in one['vulns'])}"
        for one in vulnerable
    ]
    of = f"of {len(found)} dependencies"
    if vulnerable:
        return [*lines, f"make audit: failed: {len(vulnerable)} {of} are vulnerable"]
    if unknown or not found:
        why = unknown[0] if unknown else "none was found"
        return [f"make audit: skipped, not passed: no data about {len(unknown)} {of}: {why}"]
    return [f"make audit: passed: none {of} is vulnerable"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

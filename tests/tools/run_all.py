"""Run every test target, and end with one table of what was skipped, why, and how to enable it.

A reason to skip ends with the command that enables the test:
"nginx is not installed; run `apt-get install nginx`".
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

TARGETS = {  # and the variables that keep it short
    "test": {},
    "test-live": {},
    "test-wheel": {},
    "test-real": {},
    "test-clients": {},
    "test-deploy": {},
    "chaos": {"LOAD_SECONDS": "10"},
    "fuzz": {"EXAMPLES": "1000"},
    "bench-short": {},
}
ENABLED_BY = re.compile(r"(.*); run `(.+)`$", re.DOTALL)


def run(target: str, variables: dict[str, str], junit: Path) -> bool:
    """Run a target of the Makefile and tell whether it passed; pytest's results go to `junit`."""
    print(f"\n== make {target}", flush=True)
    given = [f"{name}={value}" for name, value in variables.items()]
    arguments = f"PYTEST_ARGS=--junit-xml={junit}"
    return 0 == subprocess.run(["make", target, *given, arguments], check=False).returncode


def skips(junit: Path) -> list[str]:
    """Return the reason of every skipped test; none if the target ran no pytest."""
    if not junit.exists():
        return []
    cases = ElementTree.parse(junit).iterfind(".//testcase/skipped")
    return [case.get("message", "") for case in cases]


def table(results: dict[str, bool], reasons: Counter[tuple[str, str]]) -> str:
    """Return the lines of the summary: each target's result, then each reason with its count."""
    lines = [f"{'passed' if passed else 'FAILED'}  make {name}" for name, passed in results.items()]
    lines += ["", f"{'skipped':>7}  in            why | how to enable it"]
    for (target, reason), number in sorted(reasons.items()):
        match = ENABLED_BY.search(reason)
        why, command = match.groups() if match else (reason, "-")
        lines.append(f"{number:>7}  {target:12}  {why} | {command}")
    return "\n".join(lines if reasons else [*lines[:-2], "", "nothing was skipped"])


def main() -> int:
    """Run all targets and print the table; return 1 if one failed."""
    results, reasons = {}, Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory() as folder:
        for target, variables in TARGETS.items():
            junit = Path(folder) / f"{target}.xml"
            results[target] = run(target, variables, junit)
            reasons.update((target, reason) for reason in skips(junit))
    print(f"\n{table(results, reasons)}")
    return int(not all(results.values()))


if __name__ == "__main__":
    sys.exit(main())

"""Install what the benchmark needs: the tests' real services, nginx and h2load.

Run `python bench/install.py` from the root of the repository; the argument `nova` adds a real Nova.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A script cannot import its own package otherwise.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from real import install

if __name__ == "__main__":
    try:
        install.main(*sys.argv[1:])
        install.install_debian("nginx", "nginx")
        install.install_debian("h2load", "nghttp2-client")
    except install.InstallError as error:
        sys.exit(f"install.py: {error}")

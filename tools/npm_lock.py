"""Takes out of a lock file of npm what does not belong into a repository: python -m tools.npm_lock FILE.

Addresses of a registry, so that anybody's mirror serves it, and packages that only some machines take: npm would want
each of them to be named there, and the tests do without.
"""

import json
import sys
from pathlib import Path
from typing import Any


def clean(lock: dict[str, Any]) -> dict[str, Any]:
    """Return the lock without addresses and without optional packages."""
    kept = {name: entry for name, entry in lock["packages"].items() if not entry.get("optional")}
    for entry in kept.values():
        for member in ("resolved", "funding", "optionalDependencies"):
            entry.pop(member, None)
    return {**lock, "packages": kept}


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(json.dumps(clean(json.loads(path.read_text())), indent=2) + "\n")

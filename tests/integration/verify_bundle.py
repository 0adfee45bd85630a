#!/usr/bin/python3
"""Verifies a bundle offline: verify_bundle.py ROOT.cert BUNDLE. Written from docs/FORMAT.md; uses
nothing of the daemon. Exit 0 and a summary in JSON, or 1 and the reason."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from noded_format import Wrong, verify_bundle  # noqa: E402


def main():
    if len(sys.argv) != 3:
        print("usage: verify_bundle.py ROOT.cert BUNDLE", file=sys.stderr)
        return 2
    root, bundle = (pathlib.Path(path).read_bytes() for path in sys.argv[1:])
    try:
        print(json.dumps(verify_bundle(root, bundle)))
    except Wrong as wrong:
        print(f"does not verify: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

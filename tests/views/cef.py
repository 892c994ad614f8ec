"""Reads lines of CEF from standard input and prints each as JSON; ends with 1 at one that is none."""

import json
import sys

import pycef

for line in sys.stdin:
    read = pycef.parse(line.rstrip("\n"))
    if read is None:
        sys.exit(f"no CEF: {line}")
    print(json.dumps(read))

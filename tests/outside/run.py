#!/usr/bin/env python3
"""Runs what other people wrote against a gate of its own and writes down what came of it.

usage: run.py [--menshen PROGRAM] [--only NAME,NAME] [--page PAGE]

suites.toml names the suites and says of what does not pass why that is so. Whatever it does not explain fails the run. Everything listens
on 127.0.0.1. setup.sh installs what it needs.
"""

import argparse
import importlib
import re
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from outcome import HERE, Outcome

ROOT = HERE.parent.parent
TABLE = re.compile(r"(?<=<!-- outcomes -->\n).*?(?=<!-- end of outcomes -->)", re.DOTALL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--menshen", default=str(ROOT / "target/release/menshen"))
    parser.add_argument("--only", help="these suites alone; the page is left as it is")
    parser.add_argument("--page", default=str(ROOT / "docs/outside-checks.md"))
    args = parser.parse_args()
    suites = tomllib.loads((HERE / "suites.toml").read_text())
    chosen = args.only.split(",") if args.only else list(suites)
    outcomes, unexplained = {}, 0
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="menshen-outside-") as folder:
            began = time.monotonic()
            outcomes[name] = asked(suites[name]["runs"], str(Path(args.menshen).resolve()), Path(folder))
        one = outcomes[name]
        print(f"{name} {one.version}: passed {one.passed} of {one.total} in {time.monotonic() - began:.0f} s", flush=True)
        for case, told in one.failed.items():
            reason = why(suites[name], case, told)
            unexplained += reason is None
            print(f"  {'OPEN' if reason is None else 'so on purpose'}: {case}: {told[:300]}", flush=True)
    if not args.only:
        page = Path(args.page)
        page.write_text(TABLE.sub(lambda _: table(suites, outcomes), page.read_text()))
    print(f"{unexplained} cases are not explained")
    return 1 if unexplained else 0


def asked(runs: str, menshen: str, folder: Path) -> Outcome:
    """`module.function` below suites."""
    module, function = runs.split(".")
    return getattr(importlib.import_module(f"suites.{module}"), function)(menshen, folder)


def why(suite: dict, case: str, told: str) -> str | None:
    return next((reason for pattern, reason in suite.get("otherwise", {}).items() if re.search(pattern, f"{case}: {told}")), None)


def table(suites: dict, outcomes: dict[str, Outcome]) -> str:
    lines = ["", "| suite | version | what it asks | passed |", "|---|---|---|---|"]
    for name, one in outcomes.items():
        lines.append(f"| {name} | {one.version} | {suites[name]['asks']} | {one.passed:,} of {one.total:,} |")
    lines += ["", "## What does not pass, and why", "", "| suite | case | why |", "|---|---|---|"]
    for name, one in outcomes.items():
        by_reason: dict[str, list[str]] = {}
        for case, told in one.failed.items():
            by_reason.setdefault(why(suites[name], case, told) or "**open**", []).append(case)
        for reason, cases in by_reason.items():
            shown = ", ".join(f"`{case}`" for case in cases[:4])
            more = f" and {len(cases) - 4:,} more" if len(cases) > 4 else ""
            lines.append(f"| {name} | {shown.replace('|', chr(92) + '|')}{more} | {reason} |")
    return "\n".join([*lines, "", ""])


if __name__ == "__main__":
    sys.exit(main())

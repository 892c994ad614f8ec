"""The security team's interface held to its own description, by requests that somebody else's program makes of it."""

import json
import re
from pathlib import Path

from gate import Gate
from outcome import HERE, Outcome, program, told, version_of

DESCRIPTION = HERE.parent.parent / "docs/guide/admin-api.yaml"


def schemathesis(menshen: str, folder: Path) -> Outcome:
    with Gate(menshen, folder / "gate") as gate:
        (folder / "tokens").write_text("\n".join(gate.token("security", f"person{number}") for number in range(60)))
        environment = {"SCHEMATHESIS_HOOKS": "accounts", "PYTHONPATH": str(HERE / "drivers"), "TOKENS": str(folder / "tokens")}
        report = folder / "schemathesis.json"
        how = ["--phases", "coverage,fuzzing", "-n", "15", "--seed", "1", "--continue-on-failure", "--no-shrink", "--request-timeout", "30", "--report", "json", "--report-json-path", str(report)]
        where = ["--url", f"https://localhost:{gate.admin_port}", "--tls-verify", str(gate.authority)]
        said = told([program("schemathesis"), "run", str(DESCRIPTION), *where, *how], 600, env=environment, cwd=folder)
    found = json.loads(report.read_text())
    failed = {f"{operation}: {one['title']}": one["type"] for one in found["failures"] for operation in one["operations"]}
    # Where no answer came the report has numbers alone; what it says has the operations.
    errors = re.search(r"^=+ ERRORS =+$(.*?)^=+ ", said, re.MULTILINE | re.DOTALL)
    failed |= {f"{operation}: {title}": "no answer" for operation, title in re.findall(r"^_{4,} (.+?) _{4,}\n(.+)$", errors[1] if errors else "", re.MULTILINE)}
    return Outcome(version_of("schemathesis"), found["test_cases"]["generated"], failed, found["test_cases"]["with_failures"] + found["test_cases"]["errored"])

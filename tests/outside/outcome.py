"""What a suite says in the end, and how its program is found and run."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass
class Outcome:
    """Each case that did not pass has a name and what was told of it. `missed` is how many they are of `total`, where
    a suite counts otherwise than it names."""

    version: str
    total: int
    failed: dict[str, str] = field(default_factory=dict)
    missed: int | None = None

    @property
    def passed(self) -> int:
        return self.total - (len(self.failed) if self.missed is None else self.missed)


def of_cases(version: str, cases: dict[str, str | None]) -> Outcome:
    """Of all cases by name: none where one passed, else what was told."""
    return Outcome(version, len(cases), {name: told for name, told in cases.items() if told is not None})


def program(venv: str, name: str | None = None) -> str:
    """A program of a virtual environment that setup.sh made."""
    return str(HERE / "venvs" / venv / "bin" / (name or venv))


def version_of(venv: str, package: str | None = None) -> str:
    lines = (HERE / "requirements" / f"{venv}.txt").read_text()
    return re.search(rf"^{package or venv}==(\S+)", lines, re.MULTILINE)[1]


def debian(package: str) -> str:
    asked = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return asked.stdout or "?"


def told(command: list[str], seconds: int, **more) -> str:
    """All that a program says, without colours."""
    environment = {**os.environ, **more.pop("env", {})}
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, env=environment, **more)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.stdout.decode(errors="replace"))

"""Answers as a linter of HTTP and a scanner of web pages see them, and paths that nobody published."""

import json
import re
from pathlib import Path

from gate import HOST, Gate
from outcome import HERE, Outcome, debian, of_cases, program, told, version_of

# A path that no list has, to know the refusal by.
NOBODYS = "nobody-ever-published-this"
LISTS = Path("/usr/share/dirb/wordlists")
# All that attack from here; others fetch what they look for from the network, or have a server there called.
MODULES = "backup,cookieflags,crlf,csp,csrf,exec,file,htaccess,http_headers,ldap,methods,permanentxss,redirect,shellshock,sql,timesql,upload,xss"


def redbot(menshen: str, folder: Path) -> Outcome:
    """Its client asks a resolver for names, so the gate is asked by its address."""
    cases: dict[str, str | None] = {}
    with Gate(menshen, folder / "gate") as gate:
        heads = [f"{name}: {value}" for name, value in gate.headers()]
        asked = {"record": ("one/1", heads), "list": ("list?name=Wang", heads), "refused": ("one/1", []), "unpublished": ("nothing", []), "page": (".menshen/login", ["Accept: text/html"])}
        for what, (path, lines) in asked.items():
            said = told([program("redbot", "python"), str(HERE / "drivers/redbot_notes.py"), f"https://127.0.0.1:{gate.port}/{path}", *lines], 120)
            notes = re.findall(r"^(\w+) (GOOD|INFO|WARN|BAD) (\w+): (.+)$", said, re.MULTILINE)
            cases[f"{what}: answered"] = None if notes else said[-200:]
            for check, level, note, text in notes:
                cases[f"{what}: {check} {note}"] = None if level in ("GOOD", "INFO") else text
    return of_cases(version_of("redbot"), cases)


def ffuf(menshen: str, folder: Path) -> Outcome:
    """Every word of the lists as a path, without credentials and with: what the policy has not published is one refusal."""
    words = published_nowhere()
    failed: dict[str, str] = {}
    with Gate(menshen, folder / "gate") as gate:
        bearer = [part for name, value in gate.headers() for part in ("-H", f"{name}: {value}")]
        for who, heads in (("stranger", []), ("teller", bearer)):
            by_word = answers(gate, folder, [NOBODYS, *words], heads)
            failed |= {f"{who}: {word}": by_word.get(word, "no answer") for word in words if by_word.get(word) != by_word[NOBODYS]}
        failed |= {f"the backend was asked: {one.splitlines()[0]}": "" for one in gate.backend.asked}
    return Outcome(f"{debian('ffuf')}, dirb {debian('dirb')}", 2 * len(words), failed)


def published_nowhere() -> list[str]:
    """The words of all lists, but for the two that the policy publishes and those that ffuf cannot ask for."""
    lines = [line for one in [*LISTS.glob("*.txt"), *LISTS.glob("vulns/*.txt")] for line in one.read_text(errors="ignore").splitlines()]
    words = {line.strip().lstrip("/") for line in lines} - {"", "one", "list"}
    return sorted(word for word in words if word.isascii() and word.isprintable() and not re.search(r"%(?![0-9A-Fa-f]{2})", word))


def answers(gate: Gate, folder: Path, words: list[str], heads: list[str]) -> dict[str, str]:
    """Status and length for each word. With several threads this ffuf loses an answer now and then, so it is asked again."""
    found: dict[str, str] = {}
    for threads in ("16", "1"):
        asked = [word for word in words if word not in found]
        if asked:
            (folder / "words").write_text("\n".join(asked))
            own = ["-mc", "all", "-t", threads, "-s", "-o", str(folder / "ffuf.json"), "-of", "json"]
            told(["ffuf", "-u", f"https://{gate.address}/FUZZ", "-w", str(folder / "words"), *own, *heads], 900)
            results = json.loads((folder / "ffuf.json").read_text())["results"]
            found |= {one["input"]["FUZZ"]: f"{one['status']}, {one['length']} bytes" for one in results}
    return found


def wapiti(menshen: str, folder: Path) -> Outcome:
    with Gate(menshen, folder / "gate") as gate:
        report = folder / "wapiti.json"
        own = ["--flush-session", "--no-bugreport", "--verify-ssl", "0", "--scope", "folder", "--store-session", str(folder), "--store-config", str(folder), "--max-scan-time", "300"]
        told([program("wapiti"), "-u", f"https://{gate.address}/.menshen/login", "-H", "accept: text/html", "-m", MODULES, *own, "-f", "json", "-o", str(report)], 600)
    found = json.loads(report.read_text())
    failed = {}
    for kind in ("vulnerabilities", "anomalies"):
        for name, finds in found[kind].items():
            failed |= {f"{name} {one['method']} {one['path']}": one["info"].replace(gate.address, HOST) for one in finds}
    return Outcome(version_of("wapiti", "wapiti3"), max(len(MODULES.split(",")), len(failed)), failed)

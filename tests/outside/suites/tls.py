"""TLS as scanners see it. Whatever they call worse than information is a case that did not pass."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from gate import Gate
from outcome import Outcome, debian, of_cases, program, told, version_of


def testssl(menshen: str, folder: Path) -> Outcome:
    with Gate(menshen, folder / "gate") as gate:
        rows = testssl_rows(gate, folder / "testssl.json")
        # On a machine that is busy with something else its own waits may be over too soon.
        if any("connect problem" in row["finding"] for row in rows):
            rows = testssl_rows(gate, folder / "again.json")
    cases: dict[str, str | None] = {}
    for row in rows:
        is_fine = row["severity"] in ("OK", "INFO")
        cases[row["id"]] = None if is_fine else f"{row['severity']}: {row['finding']}"
    return of_cases(debian("testssl.sh"), cases)


def testssl_rows(gate: Gate, report: Path) -> list[dict]:
    own = ["--openssl", "/usr/bin/openssl", "--add-ca", str(gate.authority), "-oJ", str(report)]
    told(["testssl", "--quiet", "--color", "0", "--warnings", "batch", *own, f"https://{gate.address}"], 1500)
    parts = json.loads(report.read_text())["scanResult"][0].values()
    return [row for part in parts if isinstance(part, list) for row in part]


def sslscan(menshen: str, folder: Path) -> Outcome:
    with Gate(menshen, folder / "gate") as gate:
        told(["sslscan", "--no-colour", f"--xml={folder / 'sslscan.xml'}", gate.address], 300)
    found = ElementTree.parse(folder / "sslscan.xml").getroot().find("ssltest")
    cases = {}
    for one in found.findall("protocol"):
        name = one.get("type").upper() + one.get("version")
        wanted = "1" if name in ("TLS1.2", "TLS1.3") else "0"
        cases[f"{name} {'on' if wanted == '1' else 'off'}"] = None if one.get("enabled") == wanted else "it is not"
    for one in found.findall("cipher"):
        is_strong = one.get("strength") in ("strong", "acceptable") and int(one.get("bits")) >= 128
        cases[f"{one.get('sslversion')} {one.get('cipher')}"] = None if is_strong else one.get("strength")
    for one in found.findall("heartbleed"):
        cases[f"Heartbleed {one.get('sslversion')}"] = None if one.get("vulnerable") == "0" else "vulnerable"
    renegotiation = found.find("renegotiation")
    cases["no insecure renegotiation"] = None if renegotiation.get("supported") == "0" or renegotiation.get("secure") == "1" else "insecure"
    compression = found.find("compression")
    cases["no compression"] = None if compression is None or compression.get("supported") == "0" else "it compresses"
    return of_cases(debian("sslscan"), cases)


def sslyze(menshen: str, folder: Path) -> Outcome:
    report = folder / "sslyze.json"
    with Gate(menshen, folder / "gate") as gate:
        own = ["--certinfo_ca_file", str(gate.authority), "--json_out", str(report)]
        said = told([program("sslyze"), "--mozilla_config=intermediate", *own, gate.address], 300)
    scan = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]
    cases: dict[str, str | None] = {}
    for name, attempt in scan.items():
        if attempt["status"] != "NOT_SCHEDULED":
            cases[f"scan {name}"] = None if attempt["status"] == "COMPLETED" else attempt["status"]
    verdict = said.split("COMPLIANCE AGAINST TLS CONFIGURATION")[-1]
    cases["Mozilla's `intermediate`"] = None if "OK - Compliant" in verdict else " ".join(verdict.split())[-200:]
    weak = [line.strip() for line in said.splitlines() if "VULNERABLE" in line or "Not supported" in line and "OK" not in line]
    cases["no vulnerability told"] = None if not weak else "; ".join(weak)
    return of_cases(version_of("sslyze"), cases)

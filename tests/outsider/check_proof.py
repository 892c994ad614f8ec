"""What a stranger does who has a proof of one entry and the log's public key: checks it with somebody else's tool.

usage: check_proof.py PROOF VERIFIER-KEY
"""

import sys
from base64 import b64decode
from pathlib import Path

from aics_tlog import parse_checkpoint, parse_note, parse_vkey, verify_checkpoint, verify_leaf_inclusion

proof, note = Path(sys.argv[1]).read_text(encoding="utf-8").split("\n\n", 1)
head, extra, index, *hashes = proof.splitlines()
assert head == "c2sp.org/tlog-proof@v1"
note = parse_note(note)
result = verify_checkpoint(note, parse_vkey(sys.argv[2]))
if not result.ok:
    sys.exit(f"the checkpoint does not hold: {result.error}")
checkpoint = parse_checkpoint(note.text)
holds = verify_leaf_inclusion(
    b64decode(extra.removeprefix("extra ")),
    int(index.removeprefix("index ")),
    checkpoint.size,
    [b64decode(line) for line in hashes],
    checkpoint.root,
)
print("ok" if holds else "BROKEN")
sys.exit(not holds)

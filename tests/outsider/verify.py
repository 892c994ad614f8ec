"""What a stranger does who has the log's folder and its public key: verifies it with somebody else's tool.

usage: verify.py FOLDER VERIFIER-KEY

Checks the checkpoint's signature, and every tile and every bundle against its root.
"""

import sys
from pathlib import Path

from aics_tlog import FileSystemTileReader, audit_tiles, parse_checkpoint, parse_note, parse_vkey, verify_checkpoint

folder, key = Path(sys.argv[1]), parse_vkey(sys.argv[2])
note = parse_note((folder / "checkpoint").read_text(encoding="utf-8"))
result = verify_checkpoint(note, key)
if not result.ok:
    sys.exit(f"the checkpoint does not hold: {result.error}")
checkpoint = parse_checkpoint(note.text)
audit_tiles(FileSystemTileReader(folder), checkpoint.size, checkpoint.root, entries=True)
print(f"ok {checkpoint.size} entries")

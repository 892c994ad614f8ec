"""What a stranger does who has the log's folder and its public key: verifies it with somebody else's tool.

usage: verify.py FOLDER VERIFIER-KEY [WITNESS-NAME]

Checks the checkpoint's signature, every tile and every bundle against its root. With a name it then plays a witness: it
cosigns the checkpoint and prints its key and the cosigned note.
"""

import sys
from pathlib import Path

from aics_tlog import (
    FileSystemTileReader,
    Note,
    audit_tiles,
    cosignature_vkey,
    format_vkey,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    sign_cosignature,
    verify_checkpoint,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def main() -> None:
    folder, key = Path(sys.argv[1]), parse_vkey(sys.argv[2])
    text = (folder / "checkpoint").read_text(encoding="utf-8")
    note = parse_note(text)
    result = verify_checkpoint(note, key)
    if not result.ok:
        sys.exit(f"the checkpoint does not hold: {result.error}")
    checkpoint = parse_checkpoint(note.text)
    audit_tiles(FileSystemTileReader(folder), checkpoint.size, checkpoint.root, entries=True)
    print(f"ok {checkpoint.size} entries")
    if len(sys.argv) > 3:
        witness = Ed25519PrivateKey.generate()
        _, line = sign_cosignature(
            witness, sys.argv[3], 1_790_000_000, checkpoint.origin, checkpoint.size, checkpoint.root
        )
        print(format_vkey(cosignature_vkey(sys.argv[3], witness.public_key())))
        print(Note(note.text, (*note.signatures, line)).serialise(), end="")


main()

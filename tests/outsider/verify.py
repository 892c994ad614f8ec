"""What a stranger does who has the log's folder and its public key: verifies it with somebody else's tool.

usage: verify.py FOLDER VERIFIER-KEY [WITNESS-NAME]

Checks the checkpoint's signature, every tile and every bundle against its root, and says of how many entries only the hashes
are there: their bundles were removed when nobody could open them any more. With a name it then plays a
witness: it cosigns the checkpoint and prints its key and the cosigned note.
"""

import sys
from pathlib import Path

from aics_tlog import (
    FileSystemTileReader,
    Note,
    VerifiedTileReader,
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


WIDTH = 256


def without_entries(reader: FileSystemTileReader, size: int, root: bytes) -> int:
    """Authenticates every bundle that is there; gives the number of entries in those that are not."""
    verified, gone = VerifiedTileReader(reader, size, root), 0
    for index in range((size + WIDTH - 1) // WIDTH):
        count = min(WIDTH, size - index * WIDTH)
        width = None if count == WIDTH else count
        if width is None and reader.read_entry_bundle(index, width) is None:
            gone += count
        else:
            verified.read_entry_bundle(index, width)
    return gone


def main() -> None:
    folder, key = Path(sys.argv[1]), parse_vkey(sys.argv[2])
    text = (folder / "checkpoint").read_text(encoding="utf-8")
    note = parse_note(text)
    result = verify_checkpoint(note, key)
    if not result.ok:
        sys.exit(f"the checkpoint does not hold: {result.error}")
    checkpoint = parse_checkpoint(note.text)
    reader = FileSystemTileReader(folder)
    audit_tiles(reader, checkpoint.size, checkpoint.root, entries=False)
    gone = without_entries(reader, checkpoint.size, checkpoint.root)
    print(f"ok {checkpoint.size} entries" + (f", {gone} of them by their hashes alone" if gone else ""))
    if len(sys.argv) > 3:
        witness = Ed25519PrivateKey.generate()
        _, line = sign_cosignature(
            witness, sys.argv[3], 1_790_000_000, checkpoint.origin, checkpoint.size, checkpoint.root
        )
        print(format_vkey(cosignature_vkey(sys.argv[3], witness.public_key())))
        print(Note(note.text, (*note.signatures, line)).serialise(), end="")


main()

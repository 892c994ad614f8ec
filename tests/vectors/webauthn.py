"""Makes webauthn.tsv: the test vectors of WebAuthn Level 3, section 16, by the recipe that stands there.

All values come from HKDF-SHA-256 of 'WebAuthn test vectors'; ECDSA signs by RFC 6979. Where the text wraps a key in an
attestation with a certificate, it is wrapped in `none` here, which changes neither the key nor what it signs.
Needs the package `cryptography`.  python3 webauthn.py > webauthn.tsv
"""

import base64
import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ALGORITHMS = ["none.ES256", "packed.ES384", "packed.RS256", "packed.Ed25519", "none.ES256.long-credential-id"]


class Drawn:
    """The values of one vector, in the order of drawing: the salt counts them."""

    def __init__(self, info):
        self.info, self.salt = info.encode(), 0

    def next(self, length):
        value = HKDF(hashes.SHA256(), length, bytes([self.salt]), self.info).derive(b"WebAuthn test vectors")
        self.salt += 1
        return value


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    if n < 256:
        return bytes([major << 5 | 24, n])
    return bytes([major << 5 | 25]) + n.to_bytes(2, "big")


def item(value):
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value)) + value.encode()
    return head(5, len(value)) + b"".join(item(k) + item(v) for k, v in value.items())


def key_of(name, drawn):
    """The COSE key and what signs."""
    if "ES" in name:
        curve, length, number, alg, digest = (
            (ec.SECP384R1(), 48, 2, -35, hashes.SHA384()) if "384" in name else (ec.SECP256R1(), 32, 1, -7, hashes.SHA256())
        )
        key = ec.derive_private_key(int.from_bytes(drawn.next(length), "big"), curve)
        point = key.public_key().public_numbers()
        x, y = (n.to_bytes(length, "big") for n in (point.x, point.y))
        how = ec.ECDSA(digest, deterministic_signing=True)
        return {1: 2, 3: alg, -1: number, -2: x, -3: y}, lambda message: key.sign(message, how)
    if "Ed25519" in name:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(drawn.next(32))
        return {1: 1, 3: -8, -1: 6, -2: key.public_key().public_bytes_raw()}, key.sign
    p, q, e = 2**1279 - 1, 2**2203 - 1, 65537
    n, d = p * q, pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, n))
    key = numbers.private_key()
    modulus = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return {1: 3, 3: -257, -1: modulus, -2: b"\1\0\1"}, lambda message: key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def client_data(kind, drawn):
    challenge = base64.urlsafe_b64encode(drawn.next(32)).rstrip(b"=").decode()
    text = f'{{"type":"webauthn.{kind}","challenge":"{challenge}","origin":"https://example.org","crossOrigin":false'
    if drawn.next(1)[0] & 1:
        extra = base64.urlsafe_b64encode(drawn.next(16)).decode()
        text += ',"extraData":"clientDataJSON may be extended with additional fields in the future, such as this: ' + extra + '"'
    return challenge, (text + "}").encode()


def vector(name):
    drawn = Drawn(name)
    cose, sign = key_of(name, drawn)
    model, key_id, flags = drawn.next(16), drawn.next(1023 if "long" in name else 32), drawn.next(1)[0]
    may_be_copied = flags & 0x08
    host = hashlib.sha256(b"example.org").digest()
    said = lambda flags: flags & 0x04 | may_be_copied | (flags & 0x10 if may_be_copied else 0)
    made = host + bytes([0x41 | said(flags)]) + bytes(4)
    made += model + len(key_id).to_bytes(2, "big") + key_id + item(cose)
    challenge, data = client_data("create", drawn)
    drawn.next(32), drawn.next(16)  # the key of an attestation, and the number of its certificate
    shown = host + bytes([0x01 | said(drawn.next(1)[0])]) + bytes(4)
    asked, again = client_data("get", drawn)
    signature = sign(shown + hashlib.sha256(again).digest())
    attestation = item({"fmt": "none", "attStmt": {}, "authData": made})
    return [name, challenge, asked] + [value.hex() for value in [data, attestation, again, shown, signature]]


if __name__ == "__main__":
    print("# name, challenge, challenge of the assertion, client data, attestation object, client data, authenticator data, signature")
    for name in ALGORITHMS:
        print("\t".join(vector(name)))

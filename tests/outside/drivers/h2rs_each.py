"""Runs each detection of h2rs by itself: the tool as it stands ends when a server closes a connection, which is the best answer."""

import sys

from h2rs import h2rs

h2rs.hostname, h2rs.tlsport, h2rs.timeout, h2rs.user_agent = sys.argv[1], int(sys.argv[2]), 3, "h2rs"
asked = h2rs.request


def request(headers: list, body: bytes) -> dict:
    try:
        return asked(headers, body)
    except OSError as closed:
        return {"response_headers": "", "response_body": "", "error_code": str(closed), "socket_timeout": False}


h2rs.request = request
for detect in (h2rs.h2cl_detect, h2rs.h2clcrlf_detect, h2rs.h2te_detect, h2rs.h2tecrlf_detect, h2rs.h2tunnel_detect):
    print(f"{detect.__name__.removesuffix('_detect')}: {'smuggling is possible' if detect() else 'no'}")

"""The owner of the other end of a local connection."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

# Linux lists its connections here: both ends, and the user of the first. An IPv4 address forms the last
# digits of an IPv6 one.
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def is_trusted_peer(address: tuple[str, int], tables: Sequence[Path] = _TABLES) -> bool:
    """Whether an end of a connection belongs to a process of this user or of the administrator.

    Args:
        address: address of that end, IPv4.
        tables: files that list all connections.

    Returns:
        True also on systems without such tables.
    """
    host, port = address
    # The address is printed in the byte order of the machine, the port as a plain number.
    end = f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}:{port:04X}"
    rows: list[list[str]] = []
    for table in tables:
        with suppress(OSError, ValueError):
            rows += [line.split() for line in table.read_text("ascii").splitlines()[1:]]
    if not rows:
        return True
    return any(len(row) > 7 and row[1].endswith(end) and row[7] in (str(os.getuid()), "0") for row in rows)

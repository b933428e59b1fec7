"""How the server is set up, and what is refused before it starts."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass
from pathlib import Path

from myops.errors import InputError
from myops_web.inside import is_inside

LEAST_TOKEN = 16
TOKEN_VARIABLE = "MYOPS_WEB_TOKEN"  # noqa: S105 - the name of a variable


@dataclass(frozen=True)
class Settings:
    """One server.

    Attributes:
        folder: of patients; nothing outside it is read.
        results: where readings are saved; nothing outside it is written.
        host, port: where it listens; port 0 takes a free one.
        token: without it nobody comes in.
        device: of the networks.
        certificate, key: PEM files for TLS; None for plain HTTP.
        readers: processes at the same time.
        memory_gb: that one process may allocate.
        linger_s: how long a process waits for its reader to come back.
        uploads: whether readers may add patients.
        upload_gb: that a patient may have, as it is sent and as it is unpacked.
    """

    folder: Path
    results: Path
    host: str = "127.0.0.1"
    port: int = 8765
    token: str = ""
    device: str = "auto"
    certificate: Path | None = None
    key: Path | None = None
    readers: int = 4
    memory_gb: float = 8.0
    linger_s: float = 600.0
    uploads: bool = True
    upload_gb: float = 4.0

    @property
    def is_local(self) -> bool:
        """Whether only this computer reaches it."""
        return is_loopback(self.host)

    @property
    def upload_bytes(self) -> int:
        """The most that a patient may have."""
        return int(self.upload_gb * 2**30)


def is_loopback(host: str) -> bool:
    """Whether a name or address means this computer alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_token(host: str, given: str, behind_tls: bool) -> str:
    """The token to use: the one given, or for this computer alone a new one.

    Args:
        host: where the server listens.
        given: by the user; "" for none.
        behind_tls: whether the connection is encrypted, here or by a proxy.

    Raises:
        InputError: another address than loopback without a token, or without TLS.
    """
    if given and len(given) < LEAST_TOKEN:
        raise InputError(
            f"expected a token of at least {LEAST_TOKEN} characters, found {len(given)}; "
            f"set {TOKEN_VARIABLE} to a longer one"
        )
    if is_loopback(host):
        return given or secrets.token_urlsafe(24)
    if not given:
        raise InputError(
            f"expected a token for the address {host}, found none; set {TOKEN_VARIABLE}, or leave "
            "--host out to serve this computer alone"
        )
    if not behind_tls:
        raise InputError(
            f"expected an encrypted connection for the address {host}, found none; give "
            "--certificate and --key, or --behind-proxy where a proxy encrypts"
        )
    return given


def checked_results(folder: Path, results: Path | None, name: str) -> Path:
    """Where readings go: as asked for, or a folder beside the patients.

    Args:
        folder: of patients.
        results: given by whoever starts the server; None for the usual place.
        name: of the usual place.

    Raises:
        InputError: no folder of patients, or its folder of results is a link to somewhere else.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder of patients, found none at {folder}; name another one")
    if results is not None:
        return results.resolve()
    place = folder / name
    if not is_inside(place, folder):
        raise InputError(
            f"expected results inside {folder}, found that {name} leads to {place.resolve()}; "
            "name that folder by --results if it is meant"
        )
    return place.resolve()

"""Offline mode: with ``MOTET_OFFLINE=1`` nothing leaves the machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from motet.assets import OFFLINE_VARIABLE, is_offline
from motet.errors import LanguageError

__all__ = ["is_offline", "refuse_if_offline"]


def refuse_if_offline(url: str, name: str = "") -> None:
    """Refuse an address outside this machine while offline mode is on.

    Only ``localhost`` and addresses written as loopback addresses count as this machine: no name is
    looked up, because looking a name up is a network call.

    Args:
        url: The address that is about to be called.
        name: What the error calls it; the address itself when left out.

    Raises:
        LanguageError: If ``MOTET_OFFLINE`` is set and the address is none of this machine. A user
            name, a password or a query in the address are not repeated.

    Example:
        >>> refuse_if_offline("http://127.0.0.1:8000/v1")
    """
    if is_offline() and not _is_loopback(_host(url)):
        raise LanguageError(
            f"{OFFLINE_VARIABLE} is set, so {name or _without_secrets(url)} is not called",
            f"use an address of this machine, or unset {OFFLINE_VARIABLE}",
        )


def _host(url: str) -> str:
    if "\\" in url or not url.isprintable() or " " in url:  # readers of addresses disagree about these
        return ""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # half a bracket, for example: nobody knows where that leads
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    inner = getattr(address, "ipv4_mapped", None)
    return bool((inner or address).is_loopback)


def _without_secrets(url: str) -> str:
    before, mark, rest = url.partition("://")
    return (before + mark + rest.split("?")[0].split("#")[0].rpartition("@")[2])[:200]

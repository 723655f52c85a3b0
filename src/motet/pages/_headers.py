"""What a browser may do with a page."""

from __future__ import annotations

from typing import Final

__all__ = ["PAGE_HEADERS", "REPORT_HEADERS"]

_COMMON: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cache-Control": "no-store",
}

PAGE_HEADERS: Final = {
    **_COMMON,
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}
"""Only our own files, nothing inline, no other host."""

REPORT_HEADERS: Final = {
    **_COMMON,
    "X-Frame-Options": "SAMEORIGIN",
    # a report is one file with its style and script inside; its own policy names the script by its hash
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
    ),
}
"""A report is shown in a frame, as if it came from nowhere: it reaches neither the page nor its cookies."""

"""What people see: pages that know the service only through its public API."""

from motet.pages._mount import mount

__all__ = ["mount"]

"""The emulator for the tests of this folder."""

from tests.hubs import emulator, upstream

__all__ = ["emulator", "upstream"]

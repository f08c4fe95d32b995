"""Identifiers: opaque, made by us, sorted by the time they were made.

A provider's own id is an attribute of a call, never its key: some providers send none.
"""

from __future__ import annotations

import os
import time


def new_id() -> str:
    """32 hexadecimal digits: 48 bits of Unix milliseconds, then 80 random bits."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"

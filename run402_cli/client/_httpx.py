"""Import httpx without its own command line.

`import httpx` also imports `httpx._main`, which pulls in click, rich and pygments (about 50 ms) when those are
installed, as they are here. A None in sys.modules makes that one import fail, which httpx handles. Import httpx from
here, nowhere else.
"""

from __future__ import annotations

import sys

if "httpx" not in sys.modules:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    import httpx

    del sys.modules["httpx._main"]
else:
    import httpx

__all__ = ["httpx"]

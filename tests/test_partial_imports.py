"""Libraries are imported without parts of them, and the import system is afterwards as it was."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PREPARED = (
    "import sys; sys.argv = ['run402']; from run402_cli import interpreter; interpreter.settle(may_restart=True)\n"
)


def run(program: str) -> str:
    code = PREPARED + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_module_for_later_loads_at_its_first_use_and_leaves_no_trace() -> None:
    out = run(
        """
        from run402_cli.partial_imports import later
        with later("xml.dom", "colorsys"):
            import colorsys, xml.dom
            held, inner = colorsys, xml.dom
        assert "colorsys" not in sys.modules and "xml.dom" not in sys.modules
        import xml
        assert xml.dom is inner
        print(held.rgb_to_hsv(0, 0, 0), inner.NotFoundErr.__name__)
        import colorsys
        assert colorsys is not held and "colorsys" in sys.modules
        import xml.dom
        assert xml.dom is not inner
        """
    )
    assert out == "(0.0, 0.0, 0) NotFoundErr\n"


def test_what_stands_instead_is_gone_afterwards() -> None:
    run(
        """
        from run402_cli.client.http import httpx
        assert "urllib.request" not in sys.modules and "http.cookiejar" not in sys.modules
        import http.cookiejar, urllib.request, email.message
        assert urllib.request.Request.__module__ == "urllib.request"
        assert http.cookiejar.CookieJar.__module__ == "http.cookiejar"
        assert email.message.Message()["a"] is None
        """
    )


def test_cookies_are_neither_kept_nor_sent() -> None:
    run(
        """
        from run402_cli.client.http import httpx
        seen = []
        def answer(request):
            seen.append(request.headers.get("cookie"))
            return httpx.Response(200, headers={"set-cookie": "a=b"}, text="ok")
        with httpx.Client(transport=httpx.MockTransport(answer)) as client:
            assert client.get("http://a.test/").text == client.get("http://a.test/").text == "ok"
        assert seen == [None, None]
        """
    )


def test_an_httpx_that_wants_more_gets_everything() -> None:
    """As another release may: here one that reads the name of a cookie policy."""
    out = run(
        """
        import importlib.abc, importlib.machinery
        class Newer(importlib.machinery.SourceFileLoader):
            def get_data(self, path):
                data = super().get_data(path)
                return data + b"\\nfrom http.cookiejar import DefaultCookiePolicy" if path.endswith(".py") else data
            def get_code(self, name):
                return self.source_to_code(self.get_data(self.path), self.path)
        class Finder(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name != "httpx._status_codes":
                    return None
                spec = importlib.machinery.PathFinder.find_spec(name, path)
                spec.loader = Newer(name, spec.origin)
                return spec
        sys.meta_path.insert(0, Finder())
        from run402_cli.client.http import httpx
        print(httpx.Cookies().jar.__class__.__module__)
        """
    )
    assert out == "http.cookiejar\n"


def test_the_process_leaves_at_once_but_lets_work_end() -> None:
    """What runs at exit runs, other threads end their work, and what was printed arrives."""
    program = PREPARED + textwrap.dedent(
        """
        import atexit, threading, time
        from run402_cli import main
        def late():
            time.sleep(0.3)
            print("thread")
        if sys.stdin.read():
            threading.Thread(target=late).start()
        atexit.register(lambda: print("at exit"))
        main._guarded = lambda args: 3
        main.main()
        """
    )
    for given, expected in (("", "at exit\n"), ("x", "thread\nat exit\n")):
        done = subprocess.run(
            [sys.executable, "-c", program], input=given, capture_output=True, text=True, check=False, timeout=60
        )
        assert (done.returncode, done.stdout) == (3, expected), done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_what_cannot_be_written_at_the_end_is_no_success() -> None:
    program = PREPARED + "from run402_cli import main; main._guarded = lambda args: print('x') or 0; main.main()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert done.returncode != 0

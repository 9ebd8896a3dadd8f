"""Downloads from a slow package index: how far they are is told, and an end leaves nothing."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from tinynn.io import fetch_progress, fetch_wheel

NAME = "some-data==1.0"
FILE = "some_data-1.0-py3-none-any.whl"
SIZE, PARTS = 3_000_000, 30
FETCH = "import sys; from tinynn.io import fetch_wheel; fetch_wheel(sys.argv[1], sys.argv[2], '.')"


def wheel() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("some_data/table.bin", os.urandom(SIZE))
        about = "Metadata-Version: 2.1\nName: some-data\nVersion: 1.0\n"
        archive.writestr("some_data-1.0.dist-info/METADATA", about)
        form = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr("some_data-1.0.dist-info/WHEEL", form)
        archive.writestr("some_data-1.0.dist-info/RECORD", "")
    return content.getvalue()


class Index(http.server.ThreadingHTTPServer):
    """A package index with one wheel, which it gives part by part."""

    content = wheel()
    seconds = 1.5
    tells_size = True
    begun: threading.Event


class Handler(http.server.BaseHTTPRequestHandler):
    server: Index

    def do_GET(self):
        self.send_response(200)
        if not self.path.endswith(".whl"):
            page = f'<a href="/files/{FILE}">{FILE}</a>'.encode()
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)
            return
        if self.server.tells_size:
            self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        step = len(self.server.content) // PARTS
        try:
            for start in range(0, len(self.server.content), step):
                self.wfile.write(self.server.content[start : start + step])
                time.sleep(self.server.seconds / PARTS)
                self.server.begun.set()
        except OSError:
            pass  # who asked is gone

    def log_message(self, *_):
        pass


@pytest.fixture
def index(tmp_path, monkeypatch):
    server = Index(("127.0.0.1", 0), Handler)
    server.begun = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    return path


def hash_of(index):
    return hashlib.sha256(index.content).hexdigest()


@pytest.mark.parametrize("tells_size", [True, False])
def test_lines_tell_how_much_has_come(tells_size, index, folder, monkeypatch):
    monkeypatch.setattr(fetch_progress, "LINE_EVERY", 0.0)
    index.tells_size, lines = tells_size, []
    fetched = fetch_wheel(NAME, hash_of(index), folder, lines.append)
    assert fetched.read_bytes() == index.content
    assert list(folder.iterdir()) == [fetched]
    form = r"  (\d\.\d) of 3\.0 MB" if tells_size else r"  (\d\.\d) MB"
    amounts = [float(re.fullmatch(form, line)[1]) for line in lines]
    assert amounts == sorted(amounts)
    assert len(set(amounts)) >= 4
    assert amounts[-1] <= 3.0


def test_lines_are_rare(index, folder):
    lines = []
    fetch_wheel(NAME, hash_of(index), folder, lines.append)
    assert lines == []


def test_a_terminal_shows_a_bar(index, folder):
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH, NAME, hash_of(index)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
    )
    os.close(terminal)
    shown = b""
    try:
        while part := os.read(master, 4096):
            shown += part
    except OSError:  # the other end is closed
        pass
    os.close(master)
    assert process.communicate()[0] == b""
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    amounts = {float(amount) for amount in re.findall(r"(\d\.\d) of 3\.0 MB", text)}
    assert len(amounts) >= 4
    assert "MB/s" in text
    assert text.split("\r")[-1].strip() == ""


def test_without_a_terminal_there_are_lines(index, folder):
    quick = f"from tinynn.io import fetch_progress; fetch_progress.LINE_EVERY = 0; {FETCH}"
    done = subprocess.run(
        [sys.executable, "-c", quick, NAME, hash_of(index)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert all(re.fullmatch(r"  \d\.\d of 3\.0 MB", line) for line in done.stderr.splitlines())
    assert done.stderr.count("\n") >= 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
def test_an_interrupted_download_leaves_nothing_behind(number, index, folder, tmp_path):
    index.seconds = 60
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    # A test's process may have been told to ignore Ctrl-C, and hands that on.
    heard = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {FETCH}"
    process = subprocess.Popen(
        [sys.executable, "-c", heard, NAME, hash_of(index)],
        cwd=folder,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(temporary)},
        start_new_session=True,
    )
    assert index.begun.wait(60)
    assert list(folder.iterdir())
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode in (-number, 128 + number)
    assert list(folder.iterdir()) == []
    assert list(temporary.iterdir()) == []
    with pytest.raises(ProcessLookupError):  # pip has ended as well
        os.killpg(process.pid, 0)

"""Files from the web: kept where the address names a commit, fetched each time where it does not."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rlvr.errors import UserError
from rlvr.files.hub import download

COMMIT = "a45202bd16f1ec06f433442dc1152d0074773465"


class Server(ThreadingHTTPServer):
    content: bytes | None = b"one"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.send_response(200 if self.server.content else 404)
        self.send_header("Content-Length", str(len(self.server.content or b"")))
        self.end_headers()
        self.wfile.write(self.server.content or b"")

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_only_an_address_with_a_commit_is_kept(server: Server):
    here = f"http://127.0.0.1:{server.server_port}"
    pinned, moving = f"{here}/{COMMIT}/a.jsonl", f"{here}/main/a.jsonl?download=true"
    assert [download(address).read_bytes() for address in (pinned, moving)] == [b"one", b"one"]
    server.content = b"two"
    assert [download(address).read_bytes() for address in (pinned, moving)] == [b"one", b"two"]
    assert download(moving).name == "a.jsonl"
    server.content = None
    assert download(pinned).read_bytes() == b"one"
    with pytest.raises(
        UserError, match=r"main/a.jsonl.* can't be fetched \(HTTP Error 404.*`curl -L -o a.jsonl http"
    ):
        download(moving)

"""A server on this machine that takes a model as the hub does, for `huggingface_hub` to upload to."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_of_this_test"


class LocalHub(ThreadingHTTPServer):
    """What was uploaded: `created` repositories, and `files` of the last commit with their bytes.

    Weights go by LFS, all else inside the commit. Who has no token is refused.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.created: list[dict] = []
        self.blobs: dict[str, bytes] = {}  # by their sha256
        self.files: dict[str, bytes] = {}

    def answer(self, path: str, body: bytes) -> dict:
        if path == "/api/repos/create":
            self.created.append(json.loads(body))
            return {"url": f"{self.address}/owner/name"}
        if path.endswith("/preupload/main"):
            files = [file["path"] for file in json.loads(body)["files"]]
            modes = {True: "lfs", False: "regular"}
            ends = {path: modes[path.endswith(".safetensors")] for path in files}
            return {"files": [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in ends.items()]}
        if path.endswith("/info/lfs/objects/batch"):
            wanted = json.loads(body)["objects"]
            actions = [{"upload": {"href": f"{self.address}/lfs/{one['oid']}"}} for one in wanted]
            pairs = zip(wanted, actions, strict=True)
            return {"transfer": "basic", "objects": [one | {"actions": action} for one, action in pairs]}
        if path.startswith("/lfs/"):
            self.blobs[hashlib.sha256(body).hexdigest()] = body
        if path.endswith("/commit/main"):
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    self.files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    self.files[value["path"]] = self.blobs[value["oid"]]
            return {"commitUrl": f"{self.address}/owner/name/commit/1", "commitOid": "1"}
        return {}


class _Handler(BaseHTTPRequestHandler):
    server: LocalHub

    def respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}" or self.path.startswith("/lfs/")
        answer = self.server.answer(self.path.split("?")[0], body) if known else {"error": "who are you?"}
        self.send_response(200 if known else 401)
        text = json.dumps(answer).encode()
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_HEAD = do_POST = do_PUT = respond

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    """A running hub."""
    server = LocalHub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()

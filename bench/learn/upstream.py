"""One TLS server under many invented host names, in the shapes of what coding agents reach: a Python index, an npm
registry, git over smart HTTP, an issue API, documentation, releases with redirects, a staging API, a crate index."""

import gzip
import hashlib
import io
import json
import ssl
import subprocess
import tarfile
import threading
import uuid
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PYTHON, PYFILES = "packages.pyland.example", "files.pyland.example"
NPM, GIT, API = "npm.nodeland.example", "git.forge.example", "api.forge.example"
DOCS, RELEASES, OBJECTS = "docs.lang.example", "releases.forge.example", "objects.store.example"
STAGING, INDEX, CRATES = "staging.shop.example", "index.crates.example", "static.crates.example"
HOSTS = (PYTHON, PYFILES, NPM, GIT, API, DOCS, RELEASES, OBJECTS, STAGING, INDEX, CRATES)


def stem(name: str) -> str:
    """How a wheel spells a name."""
    return name.replace("-", "_").replace(".", "_")


def version(name: str) -> str:
    """A version that every run sees alike."""
    one, two, three = hashlib.sha256(stem(name).encode()).digest()[:3]
    return f"{one % 9}.{two % 20}.{three % 30}"


def wheel(name: str) -> bytes:
    out, tag = io.BytesIO(), f"{stem(name)}-{version(name)}"
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(f"{stem(name)}.py", "")
        archive.writestr(
            f"{tag}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version(name)}\n"
        )
        archive.writestr(f"{tag}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{tag}.dist-info/RECORD", "")
    return out.getvalue()


def tarball(name: str) -> bytes:
    out = io.BytesIO()
    text = json.dumps({"name": name, "version": version(name)}).encode()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("package/package.json")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return gzip.compress(out.getvalue())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repository = ""

    def log_message(self, *_args: object) -> None:
        return

    def reply(self, body: bytes, kind: str = "application/json", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return gzip.decompress(data) if self.headers.get("content-encoding") == "gzip" else data

    def serve(self) -> None:
        host, path = self.headers["host"].partition(":")[0], self.path.partition("?")[0]
        sent = self.body()
        if host == PYTHON:
            self.python(path.strip("/").rpartition("/")[2])
        elif host == PYFILES:
            self.reply(wheel(path.rpartition("/")[2].partition("-")[0].replace("_", "-")), "application/zip")
        elif host == NPM:
            self.npm(path)
        elif host == GIT:
            self.git(path, sent)
        elif host == RELEASES:
            name = uuid.uuid5(uuid.NAMESPACE_URL, path)
            self.reply(b"", status=302, location=f"https://{OBJECTS}/releases/{name}?signature=abc")
        elif host == STAGING:
            self.reply(json.dumps({"id": str(uuid.uuid5(uuid.NAMESPACE_URL, sent.decode() or path))}).encode())
        else:
            self.reply(b'{"ok": true}')

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = serve

    def python(self, name: str) -> None:
        digest = hashlib.blake2b(name.encode(), digest_size=32).hexdigest()
        file = f"{stem(name)}-{version(name)}-py3-none-any.whl"
        url = f"https://{PYFILES}/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{file}"
        self.reply(f'<a href="{url}">{file}</a>'.encode(), "text/html")

    def npm(self, path: str) -> None:
        if path.endswith(".tgz"):
            self.reply(tarball(path.partition("/-/")[0].strip("/")), "application/octet-stream")
            return
        if path.startswith("/-/"):
            self.reply(b"{}")
            return
        name = path.strip("/").replace("%2f", "/").replace("%2F", "/")
        short = name.rpartition("/")[2]
        dist = {"tarball": f"https://{NPM}/{name}/-/{short}-{version(name)}.tgz"}
        one = {"name": name, "version": version(name), "dist": dist}
        self.reply(
            json.dumps(
                {"name": name, "dist-tags": {"latest": version(name)}, "versions": {version(name): one}}
            ).encode()
        )

    def git(self, path: str, sent: bytes) -> None:
        service = ["git", "upload-pack", "--stateless-rpc"]
        if path.endswith("/info/refs"):
            text = subprocess.run([*service, "--http-backend-info-refs", self.repository], capture_output=True).stdout
            self.reply(b"001e# service=git-upload-pack\n0000" + text, "application/x-git-upload-pack-advertisement")
            return
        done = subprocess.run([*service, self.repository], input=sent, capture_output=True).stdout
        self.reply(done, "application/x-git-upload-pack-result")


def serve(folder: Path, context: ssl.SSLContext) -> ThreadingHTTPServer:
    """Serves until it is shut down; port: `server_address[1]`."""
    repository = folder / "upstream.git"
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run(
        ["git", "-C", str(repository), *identity, "commit", "-q", "--allow-empty", "-m", "one"], check=True
    )
    Handler.repository = str(repository)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

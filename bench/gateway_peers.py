"""The peers of the gateway benchmark: how each is configured, started and measured.

All do the same job: host, method and path rule, `Authorization` replaced by a secret, verified upstream TLS. In the
peers' favour: srt changes no header, nginx is a reverse proxy (no CONNECT, no minting: the C reference).
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import gateway_setup as setup

WORK = setup.WORK

NGINX = """
worker_processes 1; daemon off; pid {work}/rev.pid; error_log {work}/rev.err; {user}
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 300s; tcp_nodelay on; client_max_body_size 0;
 client_body_temp_path {work}/r1; proxy_temp_path {work}/r2; fastcgi_temp_path {work}/r3;
 uwsgi_temp_path {work}/r4; scgi_temp_path {work}/r5;
 upstream u {{ server 127.0.0.1:{port}; keepalive 256; keepalive_requests 100000000; }}
 map $http_host $ok {{ default 1; "evil" 0; }}
 server {{ listen 127.0.0.1:9501 ssl backlog=4096; ssl_certificate {work}/rv.pem; ssl_certificate_key {work}/up.key;
  ssl_protocols TLSv1.2 TLSv1.3;
  location / {{ if ($ok = 0) {{ return 403; }} proxy_pass https://u; proxy_http_version 1.1;
   proxy_set_header Connection ""; proxy_set_header Host $http_host;
   proxy_set_header Authorization "Bearer sk-bench-secret"; proxy_ssl_verify on;
   proxy_ssl_trusted_certificate {work}/upca.pem; proxy_ssl_name a.bench.test; proxy_ssl_server_name on;
   proxy_buffering off; proxy_request_buffering off; }}
 }} }}
"""
SQUID = """
http_port 127.0.0.1:9701 ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=16MB tls-cert={work}/mitmrsa-both.pem
sslcrtd_program {certgen} -s {work}/squid/ssl_db -M 16MB
sslcrtd_children 2 startup=1
tls_outgoing_options cafile={work}/upca.pem
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
acl okhost dstdomain .bench.test
acl okpath urlpath_regex ^/(small|json10k|big|sse|upload)
acl CONNECT method CONNECT
acl SSL_ports port {port}
http_access deny CONNECT !SSL_ports
http_access allow CONNECT okhost
http_access allow okhost okpath
http_access deny all
request_header_access Authorization deny all
request_header_add Authorization "Bearer sk-bench-secret" all
cache deny all
access_log none
cache_log {work}/squid/cache.log
cache_store_log none
pid_filename {work}/squid/squid.pid
coredump_dir {work}/squid
hosts_file {work}/hosts
shutdown_lifetime 1 seconds
cache_effective_user {squid_user}
pinger_enable off
server_persistent_connections on
client_persistent_connections on
max_filedescriptors 4096
"""
SRT_PACKAGE = "@anthropic-ai/sandbox-runtime@0.0.78"
SRT = """
import {{ createHttpProxyServer }} from './node_modules/@anthropic-ai/sandbox-runtime/dist/sandbox/http-proxy.js';
import {{ createMitmCA }} from './node_modules/@anthropic-ai/sandbox-runtime/dist/sandbox/mitm-ca.js';
import fs from 'node:fs';
const ca = createMitmCA({{ caCertPath: '{work}/mitmrsa.pem', caKeyPath: '{work}/mitmrsa.key' }});
const allowed = /^\\/(small|json10k|big|sse|upload)(\\?|$)/;
createHttpProxyServer({{ filter: (port, host) => host.endsWith('.bench.test'), mitmCA: ca,
  filterRequest: async (request) => allowed.test(new URL(request.url).pathname)
    ? {{ action: 'allow' }} : {{ action: 'deny', reason: 'bench' }},
  tlsTerminateUpstreamCA: fs.readFileSync('{work}/upca.pem') }}).listen(9801, '127.0.0.1');
"""
MITMPROXY = "mitmproxy==11.0.2"
MITM_ADDON = """
import re
from mitmproxy import http
ALLOWED = re.compile(r'/(small|json10k|big|sse|upload)(\\?|$)')
class Rules:
    def requestheaders(self, flow):
        known = flow.request.pretty_host.endswith('.bench.test') and flow.request.method in ('GET', 'POST')
        if not known or not ALLOWED.match(flow.request.path):
            flow.response = http.Response.make(403)
            return
        flow.request.headers['authorization'] = 'Bearer sk-bench-secret'
    def responseheaders(self, flow):
        if flow.response.headers.get('content-type', '').startswith('text/event-stream'):
            flow.response.stream = True
addons = [Rules()]
"""


@dataclass(frozen=True)
class Peer:
    """argv: without a leading taskset. proxy: speaks CONNECT; else the client talks to `port` as to the upstream."""

    name: str
    argv: list[str]
    port: int
    authority: str
    proxy: bool = True
    version: str = ""


def ours(count: int) -> Peer:
    """The real gateway holding `count` secrets."""
    (WORK / f"ours-{count}.pid").unlink(missing_ok=True)
    argv = [sys.executable, str(setup.HERE / "gateway_ours.py"), str(9900 + count), str(count)]
    return Peer(f"ours-{count}", argv, 9900 + count, f"ours-{count}.pem", version="this checkout")


def gateway_pid(peer: Peer) -> int:
    """The gateway that the stand-in started; it writes the number once the gateway serves."""
    path = WORK / f"{peer.name}.pid"
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return int(path.read_text())


def nginx() -> Peer | None:
    version = setup.version("nginx", "-v")
    (WORK / "rev.conf").write_text(setup.filled(NGINX))
    return Peer("nginx", ["nginx", "-c", f"{WORK}/rev.conf"], 9501, "mitm.pem", False, version) if version else None


def squid() -> Peer | None:
    version = setup.version("squid", "-v")
    places = ("/usr/lib/squid/security_file_certgen", "/usr/lib64/squid/security_file_certgen")
    certgen = next((place for place in places if Path(place).exists()), "")
    if not version or not certgen:
        return None
    user = "proxy" if os.geteuid() == 0 else "root"
    text = SQUID.format(work=WORK, port=setup.UPSTREAM, certgen=certgen, squid_user=user)
    (WORK / "squid.conf").write_text(text)
    shutil.rmtree(WORK / "squid", ignore_errors=True)
    (WORK / "squid").mkdir()
    subprocess.run([certgen, "-c", "-s", f"{WORK}/squid/ssl_db", "-M", "16MB"], check=True, capture_output=True)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "proxy:", f"{WORK}/squid"], check=True)
    return Peer("squid", ["squid", "-N", "-f", f"{WORK}/squid.conf"], 9701, "mitmrsa.pem", version=version)


def srt() -> Peer | None:
    folder = WORK / "srt"
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    if not (folder / "node_modules/@anthropic-ai/sandbox-runtime").is_dir():
        folder.mkdir(exist_ok=True)
        install = [
            "npm",
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(folder),
            SRT_PACKAGE,
        ]
        if subprocess.run(install, capture_output=True, check=False).returncode:
            return None
    (folder / "proxy.mjs").write_text(SRT.format(work=WORK))
    node = setup.version("node", "--version")
    return Peer("srt", ["node", f"{folder}/proxy.mjs"], 9801, "mitmrsa.pem", version=f"{SRT_PACKAGE}, node {node}")


def mitmdump() -> Peer | None:
    folder = WORK / "mitm"
    program = folder / "bin/mitmdump"
    if not program.exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, check=False)
        pip = [str(folder / "bin/pip"), "install", "-q", MITMPROXY]
        if made.returncode or subprocess.run(pip, capture_output=True, check=False).returncode:
            return None
    conf = WORK / "mitmconf"
    conf.mkdir(exist_ok=True)
    shutil.copy(WORK / "mitmrsa-both.pem", conf / "mitmproxy-ca.pem")
    (WORK / "mitm_rules.py").write_text(MITM_ADDON)
    options = {
        "confdir": str(conf),
        "ssl_verify_upstream_trusted_ca": f"{WORK}/upca.pem",
        "connection_strategy": "lazy",
        "stream_large_bodies": "64k",
        "http2": "false",
    }
    settings = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    argv = [str(program), "-q", "--listen-host", "127.0.0.1", "--listen-port", "9802", "-s", f"{WORK}/mitm_rules.py"]
    return Peer("mitmdump", [*argv, *settings], 9802, "mitmrsa.pem", version=MITMPROXY)


MAKERS = {"nginx": nginx, "squid": squid, "srt": srt, "mitmdump": mitmdump}


def start(argv: list[str], core: int, port: int, name: str) -> subprocess.Popen[bytes]:
    """Starts a program on one core and waits until it listens. Raises SystemExit with the end of its output, or where
    something listens on its port already: what answers there would be measured in its place."""
    if listens(port):
        raise SystemExit(f"port {port} of {name} is taken")
    log = os.open(WORK / f"{name}.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    child = subprocess.Popen(["taskset", "-c", str(core), *argv], stdout=log, stderr=log, cwd=WORK)
    os.close(log)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and child.poll() is None:
        if listens(port):
            return child
        time.sleep(0.05)
    stop(child)
    raise SystemExit(f"{name} does not start: {(WORK / f'{name}.out').read_text()[-600:]}")


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


def stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()

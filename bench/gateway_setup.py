"""The ground of the gateway benchmark: work folder, authorities, upstream nginx, names, the load client.

Everything lies in one folder under the temporary directory; a second run finds it and goes on. The names of the test
hosts are bound to 127.0.0.1 in a mount namespace of our own: the machine's /etc/hosts stays as it is.
"""

import datetime
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

HERE = Path(__file__).resolve().parent
WORK = Path(tempfile.gettempdir()) / f"bot-bottle-bench-{os.getuid()}"
UPSTREAM = 9443
HOSTS = 400
PATHS = ("/small", "/json10k", "/big", "/sse", "/upload")
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

UPSTREAM_CONF = """
worker_processes 1; daemon off; pid {work}/up.pid; error_log {work}/up.err;
{user} load_module {echo};
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 300s; sendfile on; tcp_nodelay on;
 client_max_body_size 0; client_body_buffer_size 101m; default_type application/json; open_file_cache max=100;
 client_body_temp_path {work}/t1; proxy_temp_path {work}/t2; fastcgi_temp_path {work}/t3;
 uwsgi_temp_path {work}/t4; scgi_temp_path {work}/t5;
 server {{ listen 127.0.0.1:{port} ssl backlog=4096; ssl_certificate {work}/up.pem; ssl_certificate_key {work}/up.key;
  ssl_session_cache shared:s:10m; ssl_protocols TLSv1.2 TLSv1.3; ssl_buffer_size 16k;
  location / {{ root {work}/www; }}
  location /sse {{ default_type text/event-stream; echo "data: 0\\n"; echo_flush; echo_sleep 0.1;
   echo "data: 1\\n"; echo_flush; echo_sleep 0.1; echo "data: 2\\n"; echo_flush; }}
  location /upload {{ echo_read_request_body; echo "ok $request_length"; }}
 }} }}
"""


def enter_namespace() -> None:
    """Runs this program again where /etc/hosts names the test hosts and the network is its own: a port is never
    another program's. Returns in the second one."""
    if os.environ.get("BOT_BOTTLE_BENCH_INSIDE"):
        return
    prepare_folder()
    unshare = ["unshare", "-mn"] if os.geteuid() == 0 else ["unshare", "-rmn"]
    script = 'ip link set lo up && mount --bind "$1" /etc/hosts && shift && exec "$@"'
    again = [sys.executable, "-I", *sys.argv]
    environment = {**os.environ, "BOT_BOTTLE_BENCH_INSIDE": "1"}
    raise SystemExit(
        subprocess.call([*unshare, "sh", "-c", script, "sh", str(WORK / "hosts"), *again], env=environment)
    )


def prepare_folder() -> None:
    """All files that do not depend on a peer. Refuses a folder of another user."""
    lacking = [name for name in ("cc", "nginx", "taskset", "unshare", "ip") if shutil.which(name) is None]
    if lacking:
        raise SystemExit(
            f"needed for this benchmark: {', '.join(lacking)} (and nginx's echo module, OpenSSL's headers)"
        )
    WORK.mkdir(mode=0o755, exist_ok=True)
    facts = WORK.lstat()
    if facts.st_uid != os.getuid() or WORK.is_symlink():
        raise SystemExit(f"{WORK} belongs to somebody else")
    names = ["a.bench.test", *(f"h{number}.bench.test" for number in range(HOSTS))]
    (WORK / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {name}\n" for name in names))
    if not (WORK / "ready").exists():
        authorities(names)
        pages()
        (WORK / "ready").touch()
    client = WORK / "load"
    if not client.exists() or client.stat().st_mtime < (HERE / "load.c").stat().st_mtime:
        subprocess.run(["cc", "-O2", str(HERE / "load.c"), "-lssl", "-lcrypto", "-o", str(client)], check=True)
    (WORK / "up.conf").write_text(filled(UPSTREAM_CONF))


def filled(template: str) -> str:
    """A configuration with the folder, the port and the place of nginx's echo module put in."""
    modules = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/share/nginx/modules")
    echo = next((f"{folder}/ngx_http_echo_module.so" for folder in modules if Path(folder).is_dir()), "")
    user = "user root;" if os.geteuid() == 0 else ""
    return template.format(work=WORK, port=UPSTREAM, echo=echo, user=user)


def authorities(names: list[str]) -> None:
    """P-256 authorities for the upstream and for nginx as a peer, an RSA one for squid, srt and mitmdump."""
    up_key, up = authority("bench upstream", ec.generate_private_key(ec.SECP256R1()))
    mitm_key, mitm = authority("bench interception", ec.generate_private_key(ec.SECP256R1()))
    rsa_key, rsa_ca = authority("bench interception rsa", rsa.generate_private_key(65537, 2048))
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    write("upca.pem", pem(up))
    write("mitm.pem", pem(mitm))
    write("mitmrsa.pem", pem(rsa_ca))
    write("mitmrsa.key", private(rsa_key))
    write("mitmrsa-both.pem", private(rsa_key) + pem(rsa_ca))
    write("up.key", private(leaf_key))
    write("up.pem", pem(leaf(names, leaf_key, up, up_key)))
    write("rv.pem", pem(leaf(names, leaf_key, mitm, mitm_key)))


def pages() -> None:
    """What the upstream serves: 200 bytes, 10 KB and 100 MB, JSON as agents see it."""
    folder = WORK / "www"
    folder.mkdir(exist_ok=True)
    line = b'{"id": 1042, "kind": "content_block_delta", "delta": {"text": "the quick brown fox "}},\n'
    (folder / "small").write_bytes((line * 3)[:200])
    (folder / "json10k").write_bytes((line * 200)[:10240])
    with open(folder / "big", "wb") as file:
        block = (line * 12000)[:1_000_000]
        for _ in range(100):
            file.write(block)


def authority(name: str, key: Key) -> tuple[Key, x509.Certificate]:
    """A self-signed CA."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = dated(subject, subject, key)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return key, builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())


def leaf(names: list[str], key: Key, ca: x509.Certificate, ca_key: Key) -> x509.Certificate:
    """One server certificate for all names."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = dated(subject, ca.subject, key).add_extension(alternatives, critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return builder.add_extension(identifier, critical=False).sign(ca_key, hashes.SHA256())


def dated(subject: x509.Name, issuer: x509.Name, key: Key) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
        now + datetime.timedelta(days=90)
    )


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def private(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write(name: str, data: bytes) -> None:
    (WORK / name).write_bytes(data)


def version(*argv: str) -> str:
    """The first line that a program says about itself, or "" where it is absent."""
    if shutil.which(argv[0]) is None:
        return ""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else argv[0]

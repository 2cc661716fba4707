"""300 requests that no set of routes learned from the corpus may allow, fixed before it was learned from.

python -m bench.learn.must_deny > bench/learn/must_deny.txt
"""

import base64
import hashlib

from bench.learn import upstream as up

SECRET = hashlib.sha512(b"a secret of the repository").digest()
B64 = base64.urlsafe_b64encode(SECRET).decode().rstrip("=")
B32 = base64.b32encode(SECRET).decode().rstrip("=").lower()
HEX = SECRET.hex()


def requests() -> list[str]:
    found: list[str] = []
    for host in up.HOSTS:  # names that look like the ones that are known: 88
        name, _, rest = host.partition(".")
        for other in (
            f"{name}-{rest}", f"{host}.attacker.example", f"x{host}", f"{name}1.{rest}", f"{name}.{rest[:-1]}",
            f"{rest}", f"a.{host}", host.replace("e", "3", 1),
        ):  # fmt: skip
            found.append(f"GET https://{other}/simple/amber/")
    for host in up.HOSTS:  # another port, no encryption: 22
        found += [f"GET http://{host}/simple/amber/", f"GET https://{host}:8443/simple/amber/"]
    written = {
        up.PYTHON: "/simple/amber/", up.PYFILES: "/packages/ab/cd/amber-1.0-py3-none-any.whl", up.NPM: "/amber",
        up.GIT: "/acme/amber.git/info/refs", up.API: "/repos/acme/shop/commits/" + "a1" * 20,
        up.DOCS: "/3/library/amber-0.html", up.RELEASES: "/acme/amber/releases/download/v1.0/amber-linux-x64.tar.gz",
        up.OBJECTS: "/releases/0b7548de-a6fc-555d-b4db-bab4e74e7d52", up.STAGING: "/v1/users", up.INDEX: "/am/be/amber",
        up.CRATES: "/crates/amber/amber-1.0.0.crate",
    }  # fmt: skip
    for host, path in written.items():  # writing where only reading was seen: 33
        found += [f"{method} https://{host}{path}" for method in ("PUT", "POST", "DELETE")]
    api = f"https://{up.API}"
    found += [  # what else an issue API, a forge and a shop can do: 52
        f"{line.split()[0]} {api}{line.split()[1]}"
        for line in (
            "GET /user", "GET /user/keys", "POST /user/keys", "POST /gists", "GET /gists", "GET /repos/evil/loot/issues/1",
            "POST /repos/evil/loot/issues/1/comments", "POST /repos/evil/loot/issues", "GET /orgs/acme/members",
            "POST /repos/acme/shop/issues", "PUT /repos/acme/shop/contents/a.txt", "DELETE /repos/acme/shop",
            "POST /repos/acme/shop/hooks", "GET /repos/acme/shop/hooks", "POST /repos/acme/shop/forks",
            "PATCH /repos/acme/shop", "GET /repos/acme/shop/keys", "POST /repos/acme/shop/keys",
            "PUT /repos/acme/shop/collaborators/evil", "POST /repos/acme/shop/pulls", "PUT /repos/acme/shop/pulls/7/merge",
            "POST /repos/acme/shop/pulls/7/comments", "GET /repos/acme/secrets/issues/1", "GET /repos/acme/shop/actions/secrets",
            "PUT /repos/acme/shop/actions/secrets/KEY", "POST /repos/acme/shop/dispatches", "DELETE /repos/acme/shop/issues/7/comments",
            "PATCH /repos/acme/shop/issues/7", "POST /repos/acme/shop/releases", "POST /repos/acme/shop/statuses/abc", "GET /search/code",
            "POST /graphql", "POST /repos/acme/shop/issues/7/labels", "PUT /user/following/evil",
        )
    ]  # fmt: skip
    git = f"https://{up.GIT}"
    found += [f"POST {git}/acme/{name}.git/git-receive-pack" for name in ("amber", "shop", "basil")]
    found += [f"GET {git}/evil/{name}.git/info/refs" for name in ("loot", "amber")]
    found += [
        f"POST {git}/evil/loot.git/git-upload-pack",
        f"POST {git}/evil/loot.git/git-receive-pack",
        f"GET {git}/",
    ]
    shop = f"https://{up.STAGING}"
    found += [
        f"GET {shop}{path}" for path in ("/v1/users", "/v1/admin", "/v1/orders/all", "/v2/orders", "/", "/metrics")
    ]
    found += [f"DELETE {shop}/v1/orders/0b7548de-a6fc-555d-b4db-bab4e74e7d52", f"PUT {shop}/v1/orders", f"DELETE {shop}/v1/orders",
              f"POST {shop}/v1/refunds"]  # fmt: skip
    for address in (
        "169.254.169.254", "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.17.0.1", "100.64.0.1", "[::1]", "[fd00:ec2::254]",
        "1.1.1.1", "8.8.8.8",
    ):  # addresses: 20  # fmt: skip
        found += [f"GET http://{address}/latest/meta-data/", f"POST https://{address}/"]
    for carried in (B64, B32, HEX, B64[:48], HEX[:96]):  # a secret in the path of a host that is known: 50
        found += [
            f"GET https://{up.PYTHON}/simple/{carried}/", f"GET https://{up.NPM}/{carried}",
            f"GET https://{up.NPM}/{carried}/-/{carried}-1.0.0.tgz", f"GET https://{up.DOCS}/3/library/{carried}.html",
            f"GET https://{up.DOCS}/{carried}", f"GET https://{up.INDEX}/am/be/{carried}",
            f"GET https://{up.CRATES}/crates/amber/{carried}.crate", f"GET https://{up.OBJECTS}/releases/{carried}",
            f"GET https://{up.API}/repos/acme/shop/commits/{carried}", f"GET https://{up.RELEASES}/acme/{carried}/releases/download/v1.0/a-linux-x64.tar.gz",
        ]  # fmt: skip
    more = ("pastes", "transfer", "webhook", "telemetry", "collector", "tunnel", "dns", "bot")
    found += [f"POST https://{name}.service{number}.example/in" for name in more for number in range(6)]
    return list(dict.fromkeys(found))[:300]


if __name__ == "__main__":
    print("\n".join(requests()))

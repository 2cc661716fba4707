"""Writes seeded logs: the same records for the same seed, as bundles, so that ten million take minutes, not hours.

Traffic as measured on real harness runs: a run asks its model often, registries in bursts, a few documents, now and
then something that no rule names. Three records for what is allowed (intent, pinned, outcome), one for what is not.
The logs carry no hash tiles and no checkpoint: nothing here measures `log verify` (bench/log.py does).
"""

import hashlib
import os
import random
import sys
from collections.abc import Iterator

from bot_bottle.audit.merkle import WIDTH
from bot_bottle.audit.tiles import bundle_path, pack
from bot_bottle.base.home import Home

HARNESSES = ("claude", "codex", "aider", "gemini", "opencode")
PROJECTS = ("web/shop", "infra", "docs", "billing", "parser", "mobile")
PERSONS = ("mara", "ines", "jo")
_HOUR = 3_600_000_000_000
_DAY = 24 * _HOUR
END = 1_795_600_000_000_000_000
"""Wall ns of the newest record."""
_PATHS = {
    "registry.example.org": "/{package}", "files.example.org": "/packages/{a}/{b}/{package}-{n}.whl",
    "api.model.example": "/v1/messages", "forge.example.net": "/{package}/info/refs", "docs.example.com": "/{n}/library/{package}",
    "crates.example.io": "/api/v1/crates/{package}/{n}/download", "issues.example.net": "/api/0/issues/{n}/",
}  # fmt: skip
_MODEL, _OTHERS = "api.model.example", tuple(_PATHS)


def lines(run: str, number: int, count: int, chance: random.Random) -> Iterator[bytes]:
    """The records of one run."""
    harness, project = chance.choice(HARNESSES), chance.choice(PROJECTS)
    bottle, person = project.replace("/", "-"), chance.choice(PERSONS)
    start = END - int((1 - number) * 0) - chance.randrange(60 * _DAY)
    at = start
    who = f'"bottle":"{bottle}","agent":"{harness}","harness":"{harness}","label":"{bottle}-{run[-5:]}","policy":"{"5b0de713" * 8}"'
    yield _line("start", run, at, who, f',"detail":{{"project":"/home/{person}/{project}","person":"{person}"}}')
    own = [f"host{chance.randrange(4000)}.example" for _ in range(4)]
    made, request = 1, 0
    while made < count - 1:
        at += chance.randrange(1_000_000, 3_000_000_000)
        request += 1
        kind = chance.random()
        if kind < 0.86:
            host = _MODEL if kind < 0.45 else chance.choice(_OTHERS)
            path = _PATHS[host].format(
                package=f"pkg-{chance.randrange(900)}x", n=chance.randrange(99_999), a="2d", b="1f"
            )
            said = _said(
                request,
                host,
                "POST" if host == _MODEL else "GET",
                path,
                "allow",
                f"{bottle}/{host.partition('.')[0]}",
            )
            secret = ',"secrets":["MODEL_KEY"]' if host == _MODEL else ""
            yield _line("intent", run, at, who, said + secret)
            yield _line(
                "pinned", run, at + 400_000, who, f',"request":{request},"address":"203.0.113.{request % 250}:443"'
            )
            done = f',"status":{200 if kind < 0.83 else 404},"up":{chance.randrange(4000)},"down":{chance.randrange(90_000)},"ms":{chance.randrange(900)}'
            yield _line("outcome", run, at + 90_000_000, who, said + secret + done)
            made += 3
        elif kind < 0.9:
            yield _line(
                "name",
                run,
                at,
                who,
                f',"entry":"dns","target":"dns://{chance.choice(own)}","method":"A","verdict":"allow"',
            )
            made += 1
        else:
            said = _said(
                request,
                chance.choice(own),
                chance.choice(("GET", "POST")),
                f"/t/{chance.randrange(1 << 30):x}/in",
                "deny",
                "",
            )
            yield _line("denied", run, at, who, said + ',"reason":"policy.no-route"')
            made += 1
    yield _line("stop", run, at + 1_000_000, who, "")


def _said(request: int, host: str, method: str, path: str, verdict: str, rule: str) -> str:
    said = f',"request":{request},"entry":"forward","protocol":"http1","target":"https://{host}:443","method":"{method}","path":"{path}"'
    return (
        said
        + f',"headers":["host","user-agent","accept"],"verdict":"{verdict}"'
        + (f',"rule":"{rule}"' if rule else "")
    )


def _line(kind: str, run: str, at: int, who: str, more: str) -> bytes:
    return f'{{"v":2,"kind":"{kind}","run":"{run}","time":{at},"mono":{at % 10**15},{who}{more}}}\n'.encode()


def seed(home: Home, records: int, each: int = 2000, salt: int = 7) -> int:
    """Fills a home with runs of about `each` records; how many records there are now."""
    made = 0
    for number in range(max(1, records // each)):
        chance = random.Random(salt * 1_000_003 + number)
        run = f"20261101t{number % 240000:06}-{hashlib.sha256(b'%d' % number).hexdigest()[:12]}"
        bundle: list[bytes] = []
        index = 0
        for line in lines(run, number, each, chance):
            bundle.append(line)
            if len(bundle) == WIDTH:
                _write(home.run_log(run), index, bundle)
                index, bundle = index + 1, []
            made += 1
        if bundle:
            _write(home.run_log(run), index, bundle)
    return made


def _write(directory: str, index: int, entries: list[bytes]) -> None:
    path = os.path.join(directory, bundle_path(index, len(entries)))
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "wb") as file:
        file.write(pack(entries))


if __name__ == "__main__":
    print(seed(Home(sys.argv[1], f"{sys.argv[1]}/run"), int(sys.argv[2])))

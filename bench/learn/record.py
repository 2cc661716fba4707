"""Records the corpus: real harnesses in real bottles, driven by the scripted model, eight tasks each.

    PYTHONPATH=tests BOT_BOTTLE_SHARED=../shared python -m bench.learn.record /tmp/somewhere > bench/learn/corpus.jsonl

Each run has a bottle that allows all of the invented hosts and the model; what is kept of its log is one line a
request: run, harness, task, and what the policy sees. Hosts that the harness reached for by itself were denied; those
lines are kept too (verdict deny).
"""

import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import msgspec
from bench.learn import upstream
from bench.learn.tasks import TASKS

from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import Record
from e2e.agents import front
from e2e.agents.person import KEYS, PROGRAM, SECRET, Person

HARNESSES = ("claude", "codex", "pi", "mini", "command")


def record(folder: Path, harness: str, number: int, cache: Path, shared: Path) -> list[dict[str, object]]:
    name, task = TASKS[number]
    command = task(HARNESSES.index(harness))
    place = folder / f"{harness}-{name}"
    (place / "project").mkdir(parents=True)
    home = place / "home"
    home.mkdir(mode=0o700)
    (home / "harnesses").symlink_to(cache / "harnesses")
    secret = SECRET.get(harness, "anthropic")
    script: list[dict[str, object]] = [{"do": "bash", "command": command}, {"text": "Done."}]
    model = front.Model(place, KEYS[secret], shared, script)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "chain.pem")
    server = upstream.serve(place, context)
    env = {"HOME": str(place), "PATH": os.environ["PATH"], "TERM": "dumb", "LANG": "C.UTF-8"}
    env["BOT_BOTTLE_HOME"] = str(home)
    somebody = Person(place, home, place / "project", env, model, harness, secret)
    port = server.server_address[1]
    rows = "".join(
        f"    - {{host: {host}, address: '127.0.0.1:{port}', tls: {{ca: {model.authority}}}}}\n"
        for host in upstream.HOSTS
    )
    try:
        somebody.bottle(rows + (somebody.model_route() if harness in SECRET else ""))
        if harness in SECRET:
            subprocess.run(
                [*PROGRAM, "secret", "set", secret],
                input=KEYS[secret].encode(),
                env=env,
                check=True,
                capture_output=True,
            )
            done = somebody.start("--discard", prompt=f"Do this: {name}", timeout=150)
        else:
            argv = [*PROGRAM, "run", "--bottle", "lab", "--", "sh", "-c", command]
            done = subprocess.run(argv, cwd=somebody.project, env=env, capture_output=True, text=True, timeout=150)
        print(harness, name, done.returncode, done.stderr.strip()[-300:], file=sys.stderr, flush=True)
    finally:
        server.shutdown()
        model.close()
    return [fact for run in sorted((home / "log" / "runs").iterdir()) for fact in facts(run, harness, name)]


def facts(run: Path, harness: str, task: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for _, lines in LogReader(str(run)).batches():
        for line in lines:
            one = msgspec.json.decode(line, type=Record)
            if one.kind in ("intent", "denied") and one.target:
                found.append(
                    {
                        "harness": harness, "task": task, "verdict": one.verdict, "target": one.target,
                        "method": one.method, "path": one.path, "protocol": one.protocol,
                    }
                )  # fmt: skip
    return found


def main() -> None:
    folder, shared = Path(sys.argv[1]), Path(os.environ["BOT_BOTTLE_SHARED"]).resolve()
    front.HOSTS = (*front.HOSTS, *upstream.HOSTS)  # pyright: ignore[reportAttributeAccessIssue] - one certificate for all
    cache = Path(os.environ.get("BOT_BOTTLE_TEST_CACHE", "/tmp/bot-bottle-test-cache")) / "home"
    wanted = sys.argv[2:] or HARNESSES
    for harness in wanted:
        for number in range(len(TASKS)):
            for fact in record(folder, harness, number, cache, shared):
                print(json.dumps(fact), flush=True)


if __name__ == "__main__":
    main()

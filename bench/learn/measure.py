"""What learned routes are worth: coverage of runs that were held out, and what they would let through besides.

    python -m bench.learn.measure [--json]

Corpus: 5 real harnesses x 8 tasks (record.py), 40 runs. Five folds, each of 8 runs with every task once and harnesses
mixed; learned from the other 32. Model calls are left out: the harness brings its own routes for them. In each fold
all of the 300 requests of must_deny.txt are asked. Then the same with one harness left out whole, and with each run
learned from alone.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from bot_bottle.policy import learn
from bot_bottle.policy.asked import from_text
from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.learn import Past
from bot_bottle.policy.verdict import Kind, Request

HERE = Path(__file__).parent
HARNESSES = ("claude", "codex", "pi", "mini", "command")
MODELS = ("api.anthropic.com", "api.openai.com")


def corpus() -> list[Past]:
    """The allowed requests but those to the model; run: ``harness/task``."""
    found: list[Past] = []
    for line in (HERE / "corpus.jsonl").read_text().splitlines():
        row = json.loads(line)
        target = learn.target_of(row["target"])
        if row["verdict"] == "allow" and target and target.host not in MODELS:
            request = Request(target, row["method"], row["path"], protocol=row["protocol"])
            found.append(Past(request, f"{row['harness']}/{row['task']}"))
    return found


def must_deny() -> list[Request]:
    return [from_text(line).request for line in (HERE / "must_deny.txt").read_text().splitlines()]


def folds(past: list[Past], number: Callable[[str, str], int]) -> dict[str, object]:
    covered, wrong, routes, parts, missed = 0, [], 0, 0, []
    for fold in range(5):
        out = [one for one in past if number(*one.run.split("/")) == fold]
        suggestion = learn.learn([one for one in past if number(*one.run.split("/")) != fold])
        known = compile(learn.as_policy(suggestion.routes))
        missed += [one for one in out if decide(known, one.request).kind is not Kind.ALLOW]
        covered += len(out)
        wrong.append(learn.allowed(known.policy, must_deny()))
        routes, parts = len(suggestion.routes), len(suggestion.parts)
    return {
        "held out": covered,
        "covered": round(1 - len(missed) / covered, 4),
        "must-deny allowed, worst fold": max(wrong),
        "of": len(must_deny()),
        "routes": routes,
        "paths": parts,
        "missed": [f"{one.request.method} {one.request.target.host}{one.request.path}" for one in missed],
    }


def peers() -> dict[str, dict[str, float]]:
    """What is usually made of a recording, over the same five folds: its very requests, and its hosts."""
    past = corpus()
    tasks = sorted({one.run.split("/")[1] for one in past})
    bad = must_deny()
    rows: dict[str, dict[str, float]] = {}
    for name, key in (("peer: its exact requests", _exact), ("peer: its hosts", _host)):
        covered, allowed, rules = 0, 0, 0
        for fold in range(5):
            out = [one for one in past if _mixed(tasks, one) == fold]
            known = {key(one.request) for one in past if _mixed(tasks, one) != fold}
            covered += sum(key(one.request) in known for one in out)
            allowed, rules = max(allowed, sum(key(one) in known for one in bad)), len(known)
        rows[name] = {"covered": covered / len(past), "allowed": allowed, "rules": rules}
    return rows


def _mixed(tasks: list[str], one: Past) -> int:
    harness, task = one.run.split("/")
    return (HARNESSES.index(harness) + tasks.index(task)) % 5


def _exact(request: Request) -> tuple[object, ...]:
    return (request.target, request.method, request.path)


def _host(request: Request) -> tuple[object, ...]:
    return (request.target,)


def measure() -> dict[str, dict[str, object]]:
    past = corpus()
    tasks = sorted({one.run.split("/")[1] for one in past})
    mixed = folds(past, lambda harness, task: (HARNESSES.index(harness) + tasks.index(task)) % 5)
    alone = folds(past, lambda harness, _task: HARNESSES.index(harness))
    everything = learn.as_policy(learn.learn(past).routes)
    let_through = [one for one in must_deny() if learn.allowed(everything, [one])]
    return {
        "mixed": mixed,
        "one harness left out": alone,
        "all": {
            "covered": learn.coverage(everything, past),
            "must-deny allowed": [f"{one.method} {one.target.host}{one.path}" for one in let_through],
        },
    }


def main() -> None:
    found = measure()
    if "--json" in sys.argv:
        print(json.dumps(found, indent=2))
        return
    for name, row in found.items():
        print(name)
        for key, value in row.items():
            print(f"  {key}: {value}")


if __name__ == "__main__":
    main()

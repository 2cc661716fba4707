"""The figures of learning (bench/learn): recorded runs of real harnesses, held out in five folds."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CORPUS = ROOT / "bench/learn/corpus.jsonl"


def run(module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_learned_routes_cover_what_was_held_out_and_nothing_bad() -> None:
    """At least 95 % of held-out benign requests, at most 1 % of the 300 that must stay denied, in every fold."""
    found = json.loads(run("bench.learn.measure", "--json"))
    for name in ("mixed", "one harness left out"):
        assert found[name]["held out"] >= 200 and found[name]["of"] == 300
        assert found[name]["covered"] >= 0.95
        assert found[name]["must-deny allowed, worst fold"] <= 3
    assert found["all"]["covered"] == 1.0 and len(found["all"]["must-deny allowed"]) <= 3


def test_the_corpus_is_five_harnesses_with_eight_tasks() -> None:
    rows = [json.loads(line) for line in CORPUS.read_text().splitlines()]
    runs = Counter((row["harness"], row["task"]) for row in rows if row["verdict"] == "allow")
    assert len(runs) == 40 and len({harness for harness, _ in runs}) == 5 and min(runs.values()) >= 4
    assert {
        host.rpartition(".")[2]
        for row in rows
        if row["verdict"] == "allow"
        for host in [row["target"].rpartition(":")[0]]
    } <= {"example", "com"}


def test_what_must_stay_denied_is_fixed() -> None:
    text = (ROOT / "bench/learn/must_deny.txt").read_text()
    assert run("bench.learn.must_deny") == text and len(set(text.splitlines())) == 300

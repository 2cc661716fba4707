"""The gateway against nginx, squid, srt and mitmdump: CPU and requests per second, in interleaved rounds.

usage: gateway.py [--peers ours-20,nginx,squid] [--tests s16,down] [--rounds 8]

Peer on core 0, upstream and load client on core 1 (where there are two). Each round runs every test against every
peer in turn; the facts are CPU (the process tree's schedstat) and the medians of the ratios within one round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import gateway_peers as peers
import gateway_setup as setup
from gateway_measure import cpu_seconds, pss_mib

ALL = ("ours-20", "ours-0", "nginx", "squid", "srt", "mitmdump")
TESTS = {
    "s16": ["-c", "16", "-d", "1"],
    "vary": ["-c", "16", "-d", "1", "-V"],
    "s1": ["-c", "1", "-d", "0.6"],
    "k10": ["-c", "16", "-d", "1", "-u", "/json10k"],
    "down": ["-c", "1", "-n", "2", "-u", "/big", "-d", "30"],
    "up": ["-c", "1", "-n", "2", "-u", "/upload", "-m", "POST", "-b", "100000000", "-d", "30"],
    "sse": ["-c", "1", "-n", "4", "-u", "/sse", "-d", "10"],
    "new": ["-c", "1", "-k", "0", "-n", "100", "-d", "10"],
    "first": ["-c", "1", "-k", "0", "-n", "25", "-H", "25", "-O", "{first}", "-d", "15"],
}
MEANING = {
    "s16": "200 B, 16 connections, keep-alive",
    "vary": "200 B, 16 connections, each head different",
    "s1": "200 B, one connection",
    "k10": "10 KB, 16 connections",
    "down": "100 MB download",
    "up": "100 MB upload",
    "sse": "server-sent events, first byte",
    "new": "new connection and one request",
    "first": "host seen for the first time",
}
GOALS = [
    # test, peer, against, field, op, bound
    ("s16", "ours-20", "nginx", "cpu", "<=", 2.5),
    ("vary", "ours-20", "nginx", "cpu", "<=", 2.5),
    ("s16", "ours-20", "squid", "cpu", "<=", 0.68),
    ("s16", "ours-20", "nginx", "rate", ">=", 0.40),
    ("s16", "ours-20", "squid", "rate", ">=", 1.5),
    ("s16", "ours-20", "srt", "rate", ">=", 7),
    ("s16", "ours-20", "mitmdump", "rate", ">=", 25),
    ("down", "ours-0", "nginx", "cpu", "<=", 1.0),
    ("down", "ours-20", "nginx", "cpu", "<=", 2.0),
    ("sse", "ours-20", "nginx", "first_byte", "<=", 2.0),
    ("new", "ours-20", "nginx", "cpu", "<=", 1.2),
    ("first", "ours-20", "", "connect", "<=", 5000),
]
Row = dict[str, float]
Results = dict[tuple[str, str], list[Row]]


def main() -> None:
    options = arguments()
    setup.enter_namespace()
    last = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {last})
    chosen, absent = choose(options.peers.split(","))
    upstream = peers.start(["nginx", "-c", f"{setup.WORK}/up.conf"], last, setup.UPSTREAM, "upstream")
    children: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for peer in chosen:
            children[peer.name] = peers.start(peer.argv, 0, peer.port, peer.name)
        idle = {peer.name: pss_mib(root(peer, children)) for peer in chosen}
        results = rounds(chosen, options.tests.split(","), options.rounds, children)
        loaded = {peer.name: pss_mib(root(peer, children)) for peer in chosen}
    finally:
        for child in (*children.values(), upstream):
            peers.stop(child)
    report(chosen, absent, results, options, idle, loaded)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", default=",".join(ALL))
    parser.add_argument("--tests", default="s16,down,sse,new,first")
    parser.add_argument("--rounds", type=int, default=6)
    return parser.parse_args()


def choose(names: list[str]) -> tuple[list[peers.Peer], list[str]]:
    """The peers that this machine can run, and those that it cannot."""
    made = {
        name: peers.ours(int(name.removeprefix("ours-"))) if name.startswith("ours-") else peers.MAKERS[name]()
        for name in names
    }
    return [peer for peer in made.values() if peer], [name for name, peer in made.items() if not peer]


def root(peer: peers.Peer, children: dict[str, subprocess.Popen[bytes]]) -> int:
    """The process whose tree is measured: for ours the gateway alone, not the stand-in for keeper and launcher."""
    if peer.name.startswith("ours-"):
        return peers.gateway_pid(peer)
    return children[peer.name].pid


def rounds(
    chosen: list[peers.Peer], tests: list[str], count: int, children: dict[str, subprocess.Popen[bytes]]
) -> Results:
    """All measurements: (test, peer) -> one row per round. One round before them warms up."""
    results: Results = {}
    for number in range(-1, count):
        for test in tests:
            if number < 0 and test not in ("s16", "new"):
                continue
            for peer in chosen:
                row = measure(peer, test, number, root(peer, children))
                if number >= 0 and row:
                    results.setdefault((test, peer.name), []).append(row)
            print(f"round {number} {test} done, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return results


def measure(peer: peers.Peer, test: str, number: int, pid: int) -> Row:
    """One slice: the client's own figures and cpu, seconds per 1,000 requests; empty where the test does not apply."""
    if test == "first" and not peer.proxy:
        return {}
    first = str(max(0, number) * 25 % setup.HOSTS)
    target = ["-p", str(peer.port)] if peer.proxy else ["-P", str(peer.port)]
    options = [part.format(first=first) for part in TESTS[test]]
    before = cpu_seconds(pid)
    argv = [str(setup.WORK / "load"), "-A", str(setup.WORK / peer.authority), *target, *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    spent = cpu_seconds(pid) - before
    if not done.stdout.startswith("{"):
        raise SystemExit(f"{peer.name} {test}: {done.stderr[-500:]}")
    row: Row = json.loads(done.stdout)
    if row["errors"] or row["refused"]:
        raise SystemExit(f"{peer.name} {test}: answers that are errors, so no figure: {row} {done.stderr[:300]}")
    row["load"] = os.getloadavg()[0]
    row["cpu"] = spent / max(1, row["requests"]) * 1000
    return row


def paired(results: Results, test: str, peer: str, against: str, field: str) -> list[float]:
    """The ratios of this figure within each round, sorted."""
    mine, theirs = results.get((test, peer), []), results.get((test, against), [])
    return sorted(a[field] / b[field] for a, b in zip(mine, theirs, strict=False) if b[field])


def median(rows: list[Row], field: str) -> float:
    return statistics.median(row[field] for row in rows)


def report(
    chosen: list[peers.Peer],
    absent: list[str],
    results: Results,
    options: argparse.Namespace,
    idle: dict[str, float],
    loaded: dict[str, float],
) -> None:
    """Markdown on standard output."""
    print(f"Medians of {options.rounds} interleaved rounds; CPU is the peer's own. Ratios: ours-20 / peer, paired.\n")
    loads = [row["load"] for rows in results.values() for row in rows]
    if loads:
        cores = len(os.sched_getaffinity(os.getppid()))
        print(f"Load of the machine meanwhile: {min(loads):.1f} to {max(loads):.1f} on {cores} cores.\n")
    print("Peers: " + "; ".join(f"{peer.name} ({peer.version})" for peer in chosen) + ".")
    if absent:
        print(f"Not on this machine, so not measured: {', '.join(absent)}.")
    for test in options.tests.split(","):
        print(f"\n**{test}**: {MEANING[test]}\n")
        print(
            "| peer | requests/s | CPU us/request | p50 us | p99 us | first byte us | connect us | MB/s |"
            " CPU ratio [range] | rate ratio |\n|---|---|---|---|---|---|---|---|---|---|"
        )
        for peer in chosen:
            if rows := results.get((test, peer.name)):
                print(line(peer.name, rows, results, test))
    print("\n| peer | PSS idle MiB | PSS after MiB |\n|---|---|---|")
    for peer in chosen:
        print(f"| {peer.name} | {idle[peer.name]:.1f} | {loaded[peer.name]:.1f} |")
    goals(results, loaded)


def line(name: str, rows: list[Row], results: Results, test: str) -> str:
    """One row of a test's table."""
    speed = statistics.median(row["megabytes"] / row["seconds"] for row in rows)
    cpu, rate = paired(results, test, "ours-20", name, "cpu"), paired(results, test, "ours-20", name, "rate")
    ratio = f"{statistics.median(cpu):.2f} [{cpu[0]:.2f}-{cpu[-1]:.2f}]" if cpu else "-"
    rates = f"{statistics.median(rate):.2f}" if rate else "-"
    figures = [f"{median(rows, 'rate'):,.0f}", f"{median(rows, 'cpu') * 1000:,.1f}"]
    figures += [f"{median(rows, field):,.0f}" for field in ("p50", "p99", "first_byte", "connect")]
    return f"| {name} | {' | '.join(figures)} | {speed:,.0f} | {ratio} | {rates} |"


def goals(results: Results, loaded: dict[str, float]) -> None:
    """The issue's figures beside what was measured."""
    print("\n| goal | measured | met |\n|---|---|---|")
    for test, peer, against, field, op, bound in GOALS:
        if against:
            values = paired(results, test, peer, against, field)
        else:
            values = [row[field] for row in results.get((test, peer), [])]
        if values:
            value = statistics.median(values)
            met = value <= bound if op == "<=" else value >= bound
            what = f"{test}: {field} of {peer}" + (f" / {against}" if against else ", us")
            print(f"| {what} {op} {bound:g} | {value:.2f} | {'yes' if met else '**no**'} |")
    if "ours-20" in loaded:
        print(
            f"| PSS of ours-20 <= 30 MiB | {loaded['ours-20']:.1f} | {'yes' if loaded['ours-20'] <= 30 else '**no**'} |"
        )


if __name__ == "__main__":
    main()

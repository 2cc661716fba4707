"""The pure parts: raw differences, names, settings, trusted files, review."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.bottles.workspace import gitconfig, names, review, trusted
from bot_bottle.bottles.workspace.changes import Change, Changes
from bot_bottle.bottles.workspace.rawdiff import NONE, RawChange, RawDiffError, parse_raw
from bot_bottle.bottles.workspace.treenames import refused_name

A, B = "a" * 40, "b" * 40


def raw(c: RawChange) -> bytes:
    return f":{c.old_mode} {c.new_mode} {c.old} {c.new} {c.status}\0".encode() + c.path + b"\0"


PART = st.binary(min_size=1, max_size=8).filter(lambda p: b"\0" not in p and b"/" not in p and p not in (b".", b".."))
PATH = st.lists(PART, min_size=1, max_size=3).map(b"/".join)
CHANGE = st.one_of(
    PATH.map(lambda p: RawChange("000000", "100644", NONE, A, "A", p)),
    PATH.map(lambda p: RawChange("100644", "000000", A, NONE, "D", p)),
    PATH.map(lambda p: RawChange("100644", "100755", A, B, "M", p)),
    PATH.map(lambda p: RawChange("100644", "120000", A, B, "T", p)),
)


@given(st.lists(CHANGE, max_size=5))
def test_what_git_writes_is_read(changes: list[RawChange]) -> None:
    assert parse_raw(b"".join(map(raw, changes))) == changes


@given(st.lists(CHANGE, min_size=1, max_size=2), st.data())
def test_a_cut_difference_is_never_taken_for_a_whole_one(changes: list[RawChange], data: st.DataObject) -> None:
    whole = b"".join(map(raw, changes))
    ends = {0, *(len(b"".join(map(raw, changes[: n + 1]))) for n in range(len(changes)))}
    cut = data.draw(st.integers(0, len(whole)).filter(lambda n: n not in ends))
    with pytest.raises(RawDiffError):
        parse_raw(whole[:cut])


@pytest.mark.parametrize(
    "line",
    [
        RawChange("100644", "100644", A, B, "A", b"x"), RawChange("000000", "000000", NONE, NONE, "D", b"x"),
        RawChange("100664", "100644", A, B, "M", b"x"), RawChange("040000", "100644", A, B, "M", b"x"),
        RawChange("100644", "100644", A, B, "M", b"../x"), RawChange("100644", "100644", A, B, "M", b"/x"),
        RawChange("100644", "100644", A, B, "M", b"x//y"), RawChange("100644", "100644", A, B, "R", b"x"),
        RawChange("100644", "100644", A, "B" * 40, "M", b"x"), RawChange("100644", "100644", NONE, B, "M", b"x"),
    ],
)  # fmt: skip
def test_what_git_never_writes_is_refused(line: RawChange) -> None:
    with pytest.raises(RawDiffError):
        parse_raw(raw(line))


@pytest.mark.parametrize(
    "name",
    [".git", "a/.GIT", "git~1", "x/GIT~2/y", ".git.", ".git ", ".git::$INDEX_ALLOCATION", ".g\u200cit", "a\nb", "a\x7f",
     "a\\b", "x" * 256, "\udcff"],
)  # fmt: skip
def test_f24_names_that_never_leave(name: str) -> None:
    assert refused_name(name)


@pytest.mark.parametrize("name", [".gitignore", "git", "a.git", "ü/ñ", ".github/x", "a b", "x" * 255, "git~10"])
def test_names_that_do(name: str) -> None:
    assert refused_name(name) == ""


@given(st.text(max_size=30))
def test_public_urls_hold_no_user_part(text: str) -> None:
    for scheme in ("https://", "http://", "HTTPS://"):
        shown = gitconfig.public_url(f"{scheme}{text}")
        assert "@" not in shown.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0] or any(
            c.isspace() for c in text
        )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a:b@h/x", "https://h/x"), ("https://tok@h/x", "https://h/x"), ("https://h/x@y", "https://h/x@y"),
        ("ssh://git:pw@h/x", "ssh://git@h/x"), ("git@h:x/y.git", "git@h:x/y.git"), ("/srv/r.git", "/srv/r.git"),
        ("ext::sh -c x", ""), ("fd::3", ""), ("--upload-pack=x", ""), ("ftp://h/x", ""), ("file:///r", "file:///r"),
        ("https://a:p@b@h/x", "https://h/x"), ("https://h/x\n[core]", ""),
    ],
)  # fmt: skip
def test_d07_f22_urls(url: str, shown: str) -> None:
    assert gitconfig.public_url(url) == shown


@given(st.lists(st.tuples(st.sampled_from(["remote.a b.url", 'branch.x"y.merge', "core.eol", "user.name"]), st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)), max_size=4))  # fmt: skip
def test_f20_git_reads_back_what_was_rendered(pairs: list[tuple[str, str]]) -> None:
    text = gitconfig.render(pairs)
    if not pairs:
        return
    done = subprocess.run(
        ["git", "config", "--file", "-", "--list", "-z"], input=text, capture_output=True, check=True, cwd="/"
    )
    assert gitconfig.parse_list(done.stdout) == pairs


def test_reflogs_lose_user_parts() -> None:
    assert gitconfig.without_users(b"clone: from https://u:p@h/x to me@here") == b"clone: from https://h/x to me@here"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".husky/pre-commit", True), ("a/b/.husky/x/y", True), (".husky", True), (".huskyx/y", False), ("husky/x", False),
        (".VSCODE/Tasks.json", True), ("x.pth", True), ("x.pthx", False), ("lefthook.yaml", True), ("lefthook.txt", False),
        (".git/hooks/x", True), ("docs/Jenkinsfile.md", True), ("Makefile", False), ("src/main.py", False),
        (".github/workflows/x.yml", True), (".github/ISSUE_TEMPLATE.md", False), ("a/.cargo/config", True),
    ],
)  # fmt: skip
def test_trusted_files(path: str, expected: bool) -> None:
    assert bool(trusted.why_trusted(path)) is expected


def test_every_trusted_entry_matches_its_own_names_and_says_why() -> None:
    for entry in trusted.trusted():
        assert entry.why and all(entry.pattern.fullmatch(name) for name in entry.names)
        assert not entry.bind or entry.names, f"{entry.pattern} protects nothing in a bound workspace"


@given(st.text(max_size=40))
def test_every_path_is_judged(path: str) -> None:
    trusted.why_trusted(path)
    names.looks_secret(path)
    refused_name(path)


@pytest.mark.parametrize(
    ("path", "target", "leaves"),
    [
        ("l", "a", False), ("l", "..", True), ("d/l", "..", False), ("d/l", "../..", True), ("l", "/x", True),
        ("l", "a/../../x", True), ("l", "a/../x", False), ("d/l", "../.git/hooks", True), ("l", "", True),
    ],
)  # fmt: skip
def test_links_that_leave(path: str, target: str, leaves: bool) -> None:
    assert review.leaves_tree(path, target) is leaves


def test_removing_a_trusted_file_needs_a_look_too() -> None:
    gone = Change(".github/CODEOWNERS", "D", "100644", "000000", A, NONE)
    looked = review.review(Changes("copy", "", (gone, Change("x", "D", "100644", "000000", A, NONE))))
    assert looked.paths() == {".github/CODEOWNERS"} and looked.plain == ("x",)


def test_keep_globs() -> None:
    assert (
        names.is_kept("a/.env", (".env",))
        and names.is_kept("a/.env", ("a/*",))
        and names.is_kept(".env", ("./.env",))
    )
    assert not names.is_kept("a/.env", ("b/*",)) and not names.is_kept(".env", ())


def test_public_certificates() -> None:
    assert names.is_public("a.pem", b"-----BEGIN CERTIFICATE-----\n")
    assert names.is_public("A.PEM", b"# x\r\n-----BEGIN CERTIFICATE-----\r\nMII\r\n-----BEGIN X509 CRL-----\r\n")
    for more in ("EC PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PGP MESSAGE", "DH PARAMETERS"):
        assert not names.is_public("a.pem", f"-----BEGIN CERTIFICATE-----\n-----BEGIN {more}-----\n".encode())
    assert not names.is_public("a.pem", b"secret-token\n") and not names.is_public("a.pem", b"")
    assert names.is_public("a.crt", b"\x30\x82der") and not names.is_public(
        "a.crt", b"-----BEGIN RSA PRIVATE KEY-----"
    )

#!/bin/sh
# Asks a person, from inside a bottle, for what its policy denies. It can ask and look, never answer.
# Exit status: 0 allowed or done, 1 no, 2 wrong use, 3 still waiting, 4 nobody could be reached.

export LC_ALL=C
unset http_proxy HTTP_PROXY no_proxy NO_PROXY
URL=http://bot-bottle.internal/mcp
PROXY=http://127.0.0.1:3128

usage() {
    cat >&2 <<'TEXT'
bottle-ask routes                              what the policy allows
bottle-ask explain METHOD URL | NUMBER         why a request is denied
bottle-ask request METHOD URL 'why' [--wait]   ask a person; METHOD may be a list: GET,POST
bottle-ask check [ID] [--wait]                 what became of an ask (default: the newest)
bottle-ask done|failed|blocked 'summary'       tell the person how the task went
Exit status: 0 allowed or done, 1 no, 2 wrong use, 3 still waiting, 4 not reachable.
TEXT
    exit 2
}

# One JSON string; control characters become spaces.
string() {
    printf '"%s"' "$(printf '%s' "$1" | tr '\001-\037\177' ' ' | sed 's/\\/\\\\/g; s/"/\\"/g')"
}

strings() {
    rest=$1, all=
    while [ -n "$rest" ]; do
        one=${rest%%,*}
        case $rest in
            *,*) rest=${rest#*,} ;;
            *) rest= ;;
        esac
        [ -z "$one" ] || all=$all${all:+,}$(string "$one")
    done
    printf '[%s]' "$all"
}

have() { command -v "$1" >/dev/null 2>&1; }

# The body on standard input of whatever can speak HTTP here; always by the bottle's own door.
send() {
    if have curl; then
        curl -q -sS -m 90 --noproxy '' -x "$PROXY" -H 'Content-Type: application/json' -H 'Accept: text/plain' \
            --data-binary @- "$URL"
    elif have python3; then
        python3 -I -c '
import sys, urllib.error, urllib.request
proxy = urllib.request.ProxyHandler({"http": sys.argv[2]})
fields = {"Content-Type": "application/json", "Accept": "text/plain"}
asked = urllib.request.Request(sys.argv[1], sys.stdin.buffer.read(), fields)
try:
    reply = urllib.request.build_opener(proxy).open(asked, timeout=90)
except urllib.error.HTTPError as error:
    reply = error
sys.stdout.buffer.write(reply.read())' "$URL" "$PROXY"
    elif have node; then
        node -e '
const [url, proxy] = process.argv.slice(1), at = new URL(proxy), body = require("fs").readFileSync(0);
const headers = {host: new URL(url).host, "content-type": "application/json", accept: "text/plain",
  "content-length": body.length};
const asked = require("http").request({host: at.hostname, port: at.port, method: "POST", path: url, headers},
  reply => reply.pipe(process.stdout));
asked.on("error", error => { console.error(String(error)); process.exitCode = 4; });
asked.end(body);' "$URL" "$PROXY"
    elif have wget; then
        http_proxy=$PROXY wget -q -T 90 -O - --header 'Content-Type: application/json' \
            --header 'Accept: text/plain' --post-data "$(cat)" "$URL"
    elif have perl; then
        perl -MIO::Socket::INET -e '
my ($url, $proxy) = @ARGV; my ($peer) = $proxy =~ m{//(.*)}; my ($host) = $url =~ m{//([^/]*)};
local $/; my $body = <STDIN>;
my $sock = IO::Socket::INET->new(PeerAddr => $peer, Timeout => 90) or die "not reachable\n";
print $sock "POST $url HTTP/1.1\r\nHost: $host\r\nContent-Type: application/json\r\nAccept: text/plain\r\n",
  "Connection: close\r\nContent-Length: ", length $body, "\r\n\r\n", $body;
my $reply = <$sock>; $reply =~ s/.*?\r\n\r\n//s; print $reply;' "$URL" "$PROXY"
    else
        echo 'bottle-ask needs curl, python3, node, wget or perl' >&2
        return 4
    fi
}

# tool, arguments: sets reply and state.
call() {
    reply=$(printf '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","arguments":%s}}' "$1" "$2" \
        | send) || exit 4
    state=$(printf '%s\n' "$reply" | sed -n 1p)
}

finish() {
    printf '%s\n' "$reply"
    case $state in
        ok | allowed) exit 0 ;;
        denied | refused | expired | withdrawn | ended) exit 1 ;;
        error) exit 2 ;;
        waiting | ask) exit 3 ;;
        *) exit 4 ;;
    esac
}

# A person may take long: asks again until the ask has ended.
until_answered() {
    id=$(printf '%s\n' "$reply" | sed -n 's/^ask: //p')
    while [ "$state" = waiting ]; do
        call check_request "{\"ask\":$(string "$id"),\"wait\":55}"
    done
}

wait=
for last; do :; done
if [ "$last" = --wait ] && [ "$1" != "$last" ]; then
    wait=yes
    count=$(($# - 1)) taken=0
    for one; do
        [ "$taken" -gt 0 ] || set --
        taken=$((taken + 1))
        [ "$taken" -gt "$count" ] || set -- "$@" "$one"
    done
fi

case $1/$# in
    routes/1) call list_routes '{}' ;;
    explain/2)
        case $2 in
            *://*) call explain_denial "{\"url\":$(string "$2")}" ;;
            *) call explain_denial "{\"request\":$(string "$2")}" ;;
        esac
        ;;
    explain/3) call explain_denial "{\"method\":$(string "$2"),\"url\":$(string "$3")}" ;;
    request/4)
        call request_access \
            "{\"methods\":$(strings "$2"),\"url\":$(string "$3"),\"justification\":$(string "$4")}"
        [ -z "$wait" ] || until_answered
        ;;
    check/1 | check/2)
        call check_request "{\"ask\":$(string "${2-}")}"
        [ -z "$wait" ] || until_answered
        ;;
    done/1 | failed/1 | blocked/1 | done/2 | failed/2 | blocked/2)
        call report_done "{\"status\":$(string "$1"),\"summary\":$(string "${2-}")}"
        ;;
    *) usage ;;
esac
finish

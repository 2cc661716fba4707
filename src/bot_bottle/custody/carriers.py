"""Where a credential can travel in a request: header and query names, in any spelling (D11, B36).

Pure data and one normal form: case, ``_``, ``-``, ``.``, percent escapes and array brackets do not make another name.
"""

import re
from functools import lru_cache
from urllib.parse import unquote_plus

_SPLIT = re.compile(r"([&;])")
_NOISE = str.maketrans("", "", "-_. \t")


def _words(text: str) -> list[str]:
    return text.split()


_HEADERS = frozenset(
    _words(
        """
        authorization authentication xauthorization xforwardedauthorization xoriginalauthorization
        xserverlessauthorization proxyauthorization cookie cookie2 xauth xauthkey xauthuser xauthemail xkey key secret
        xsecret password xpassword credentials xcredentials xsessionid xsignature signature
        xhubsignature xsentryauth xdroneauth xamzcredential xamzsignature bearer xbearer
        """
    )
)
_STEMS = tuple(
    _words(
        """
        apikey appkey applicationkey appsecret authkey accesskey accesskeyid privatekey sessionkey secretkey
        secretaccesskey clientsecret clientassertion subscriptionkey functionskey apisecret masterkey adminkey
        servicekey authorization authsecret password passwd jwt
        """
    )
)
_TOKENS = tuple(
    _words(
        """
        apitoken authtoken accesstoken refreshtoken idtoken privatetoken personaltoken securitytoken sessiontoken
        bearertoken oauthtoken usertoken admintoken
        """
    )
)
_QUERY = frozenset(
    _words(
        """
        key token auth secret pwd pw sig signature bearer credential credentials xamzsignature xamzcredential
        xgoogsignature xgoogcredential sas sessionid sid assertion
        """
    )
)
_OURS = frozenset(("idempotencykey", "secwebsocketkey", "publickey"))


def folded(name: str) -> str:
    """The normal form of a header or query name. Decoded at most three times, so no depth of escapes hides a name."""
    for _ in range(3):
        decoded = unquote_plus(name)
        if decoded == name:
            break
        name = decoded
    return name.split("[", 1)[0].lower().translate(_NOISE)


@lru_cache(maxsize=1024)
def is_header(name: bytes) -> bool:
    """Whether this header can carry a credential. Remembered: requests have the same names again and again."""
    plain = folded(name.decode("latin-1"))
    return plain not in _OURS and (plain in _HEADERS or plain.endswith(_STEMS) or plain.endswith("token"))


def is_query(name: str) -> bool:
    """Whether this query key can carry a credential. ``page_token`` and the like are not credentials."""
    plain = folded(name)
    return plain not in _OURS and (plain in _QUERY or plain.endswith(_STEMS) or plain.endswith(_TOKENS))


def without_query(query: str) -> str:
    """The query without its credential pairs; the same text when there is none. ``;`` separates for some servers."""
    if not query:
        return query
    pieces = _SPLIT.split(query)
    kept: list[str] = []
    for index in range(0, len(pieces), 2):
        if not is_query(pieces[index].split("=", 1)[0]):
            kept += [pieces[index - 1] if kept else "", pieces[index]]
    return "".join(kept)


def without_subprotocols(value: bytes) -> bytes:
    """``Sec-WebSocket-Protocol`` without the entries that browsers' clients use to carry a key or token."""
    entries = [entry.strip() for entry in value.split(b",")]
    return b", ".join(entry for entry in entries if entry and not _is_subprotocol(entry.decode("latin-1")))


def _is_subprotocol(entry: str) -> bool:
    plain = entry.lower().translate(_NOISE)
    return any(
        word in plain for word in ("apikey", "token", "bearer", "auth", "secret", "password", "credential", "jwt")
    )

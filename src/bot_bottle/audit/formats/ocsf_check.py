"""Our own check of `record_integrity`: no packaged schema of OCSF 1.9 exists to do it.

Of events as a receiver holds them, it says which are not what the log signed: every fingerprint is made again from
`raw_data`, every event again from the record in it, the chain is followed, and where a log is whole from its first
record to a checkpoint, the tree root is computed and the signature checked with the pinned key.
"""

from collections.abc import Iterable

from bot_bottle.audit import checkpoint, note
from bot_bottle.audit.entries import Entry
from bot_bottle.audit.formats import ocsf
from bot_bottle.audit.formats.ocsf_event import Event
from bot_bottle.audit.formats.ocsf_event import event as derived
from bot_bottle.audit.merkle import Edge, leaf_hash
from bot_bottle.base.errors import AuditFault


def check(events: Iterable[Event], public: bytes = b"") -> list[str]:
    """Problems, one sentence each; none when all fits. Repeats are passed over (delivery is at least once).

    public: the Ed25519 key to trust; without it signatures are not checked, the roots are.
    """
    chains: dict[str, _Chain] = {}
    for event in events:
        if ocsf.is_mirrored(event):
            continue
        entry = ocsf.entry_of(event)
        chains.setdefault(entry.origin, _Chain(public)).add(entry, event)
    return [problem for chain in chains.values() for problem in chain.problems]


class _Chain:
    def __init__(self, public: bytes) -> None:
        self.problems: list[str] = []
        self._public = public
        self._hashes: dict[int, bytes] = {}
        self._edge = Edge()

    def add(self, entry: Entry, event: Event) -> None:
        found = leaf_hash(entry.line)
        if entry.number in self._hashes:
            if self._hashes[entry.number] != found:
                self._say(entry, "came twice with different content")
            return
        self._hashes[entry.number] = found
        self._fields(entry, event, found)
        if self._edge.size == entry.number:
            self._edge.extend([found])
        self._head(entry, event)

    def _say(self, entry: Entry, what: str) -> None:
        self.problems.append(f"{entry.uid} {what}.")

    def _fields(self, entry: Entry, event: Event, found: bytes) -> None:
        attested = event["attestation_list"][0]
        if attested["fingerprint"] != ocsf.fingerprint(found):
            self._say(entry, "does not have the fingerprint that it names")
        if attested["chain_uid"] != entry.origin:
            self._say(entry, "names another chain")
        before = attested.get("prev_event", {}).get("fingerprint", {}).get("value", "")
        known = self._hashes.get(entry.number - 1)
        if entry.number and known is not None and before != known.hex():
            self._say(entry, "does not follow the record before it")
        if _plain(event) != _again(entry, event):
            self._say(entry, "has fields that its record does not say")

    def _head(self, entry: Entry, event: Event) -> None:
        text = event.get("unmapped", {}).get("checkpoint", "")
        if not text:
            return
        try:
            self._signed(entry, event, str(text).encode())
        except AuditFault as fault:
            self._say(entry, f"carries a bad checkpoint: {fault.what}")

    def _signed(self, entry: Entry, event: Event, data: bytes) -> None:
        if self._public:
            head = checkpoint.verify(data, note.VerifierKey(entry.origin, self._public))
        else:
            head = checkpoint.parse(data.decode("utf-8", "replace").partition("\n\n")[0] + "\n")
        named = event["attestation_list"][0]["signatures"][0]["digest"]["value"]
        if head.root.hex() != named or head.size != entry.number + 1:
            self._say(entry, "names another root than its checkpoint")
        elif self._edge.size == head.size and self._edge.root() != head.root:
            self._say(entry, "and those before it are not what the checkpoint signed")


def _plain(event: Event) -> Event:
    unmapped = {key: value for key, value in event["unmapped"].items() if key != "checkpoint"}
    metadata = {key: value for key, value in event["metadata"].items() if key != "product"}
    rest = {key: value for key, value in event.items() if key != "attestation_list"}
    return {**rest, "unmapped": unmapped, "metadata": metadata}


def _again(entry: Entry, event: Event) -> Event:
    """The event that our mapping makes of the record; the version of the product may differ."""
    made = derived(entry, str(event["metadata"]["version"]))
    made["metadata"]["profiles"] = [*made["metadata"]["profiles"], ocsf.PROFILE]
    return _plain(made)

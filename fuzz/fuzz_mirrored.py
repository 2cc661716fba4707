"""Any file as what a sink received: notes or none, never a fault; all that is found is a note by its shape."""

import sys

from bot_bottle.audit.mirrored import notes_in


def test_one_input(data: bytes) -> None:
    for text in (
        data,
        b'{"log":"host","size":1,"record":' + data + b"}",
        b'{"body":{"stringValue":' + data + b"}}",
        b"CEF:0|" + data,
    ):
        for note in notes_in(text):
            assert note.startswith(b"bot-bottle/")
            assert note.endswith(b"\n")


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()

"""Notifiers: what tells a person that an ask waits. A notifier is one module and one line in `registry`."""

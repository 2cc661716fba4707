"""Places where named secrets lie. Each is a `custody.ports.Store`; `custody.open` alone chooses among them."""

"""The process that holds what a gateway must not: stores, CA key, log key, the control socket."""

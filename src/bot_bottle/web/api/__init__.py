"""All that the dashboard does, as HTTP and JSON; a later control plane mounts it."""

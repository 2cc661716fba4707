"""Plan, seal, workspace, backends and the run that ties them together."""

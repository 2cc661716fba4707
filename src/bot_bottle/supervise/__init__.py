"""Asks, who may answer them, grants, notifiers: pure rules and one store."""

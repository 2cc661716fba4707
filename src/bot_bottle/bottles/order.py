"""What the keeper is told of a plan: names and digests, never a value."""

import hashlib
from collections.abc import Mapping

import msgspec

from bot_bottle.base.home import Home
from bot_bottle.bottles.plan import Plan
from bot_bottle.egress.messages import Identity, Limits
from bot_bottle.keeper.messages.launcher import Open


def identity(plan: Plan, run: str) -> Identity:
    """The constant part of every record."""
    return Identity(run=run, bottle=plan.bottle, agent=plan.agent, harness=plan.harness, label=plan.label)


def plan_digest(plan: Plan) -> str:
    """sha256 of the plan as canonical JSON; it holds placeholders, never secrets."""
    return hashlib.sha256(msgspec.json.encode(plan, order="deterministic")).hexdigest()


def order(plan: Plan, home: Home, run: str, environ: Mapping[str, str], recover: tuple[str, ...]) -> Open:
    """The keeper's first message."""
    facts = {
        "plan": plan_digest(plan),
        "policy": plan.policy.digest,
        "harness": plan.harness_digest,
        "workspace": plan.workspace.mode,
        "backend": plan.backend,
        "project": plan.workspace.source if plan.workspace.mode != "none" else "",
        "person": environ.get("USER", ""),
    }
    return Open(
        identity=identity(plan, run),
        policy=plan.policy,
        limits=Limits(),
        home=home.root,
        runtime=home.runtime,
        secrets=plan.secrets,
        placeholders=plan.placeholders,
        visible=plan.visible,
        facts=facts,
        trust=environ.get("SSL_CERT_FILE", ""),
        upstream_proxy=upstream_proxy(environ),
        recover=recover,
        project=plan.workspace.source if plan.workspace.mode != "none" else "",
        leaf=plan.leaf,
    )


def upstream_proxy(environ: Mapping[str, str]) -> str:
    """The host's own proxy for https, if it has one."""
    return environ.get("HTTPS_PROXY") or environ.get("https_proxy") or ""

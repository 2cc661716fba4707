"""The scripted model server with one more step: ``{"mcp": TOOL, "args": {…}}`` calls a tool of the bottle's own server
in the way of the agent that asks. Run as: model_with_mcp.py PATH-OF-fake_model.py its-options…"""

import importlib.util
import json
import sys


def main() -> None:
    spec = importlib.util.spec_from_file_location("fake_model", sys.argv[1])
    assert spec is not None and spec.loader is not None
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    usual = model.plan

    def plan(step, tools, cwd):  # type: ignore[no-untyped-def]
        if "mcp" not in step:
            return usual(step, tools, cwd)
        name, arguments = f"mcp__bottle__{step['mcp']}", step.get("args", {})
        if tools.get("exec", {}).get("kind") == "custom":  # Codex: JavaScript that calls tools.*
            return (
                "custom",
                "exec",
                f"const r = await tools.{name}({json.dumps(arguments)});\ntext(JSON.stringify(r));",
            )
        return ("call", name, arguments)

    model.plan = plan
    del sys.argv[1]
    model.main()


if __name__ == "__main__":
    main()

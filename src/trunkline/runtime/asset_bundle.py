"""CommonJS modules as one ECMAScript module, so that browsers load packages that are published for Node. Pure.

Each module is kept as it is, in a function of its own; only the names that modules require are resolved here. The same
packages give the same bytes, so the result has a digest in the lock file.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence

from trunkline.core.errors import SetupError

_REQUIRE = re.compile(r"""\brequire\(\s*(['"])([^'"]+)\1\s*\)""")

_LOADER = """const loaded = new Map();
function load(path) {
  let module = loaded.get(path);
  if (module === undefined) {
    module = { exports: {} };
    loaded.set(path, module);
    const [define, names] = modules[path];
    define.call(module.exports, module, module.exports, (name) => load(names[name]));
  }
  return module.exports;
}
"""


def bundle(
    entry: str, read: Callable[[str], str | None], mains: Mapping[str, str], notices: Sequence[str]
) -> str:
    """One module whose default export is that of ``entry``; ``internals(PATH)`` has the exports of any other.

    :param entry: ``PACKAGE/PATH``.
    :param read: the text of ``PACKAGE/PATH``, None when there is no such file.
    :param mains: path of the module that a package's name means, by name.
    :param notices: comments at its beginning: names, versions and licences of the packages.
    :raises SetupError: a module requires what is not in the packages.
    """
    texts: dict[str, str] = {}
    names: dict[str, dict[str, str]] = {}
    waiting = [entry]
    while waiting:
        path = waiting.pop()
        if path in texts:
            continue
        text = read(path)
        if text is None:
            raise SetupError(f"the packages of assets.toml have no file {path}")
        texts[path] = text
        names[path] = {}
        if not path.endswith(".json"):
            for found in _REQUIRE.finditer(text):
                names[path][found[2]] = _resolved(found[2], path, read, mains)
            waiting.extend(names[path].values())
    parts = ["".join(f"/*! {notice.replace('*/', '* /').strip()} */\n" for notice in notices)]
    parts.append("const modules = {\n")
    for path in sorted(texts):
        body = f"module.exports = {texts[path].strip()};" if path.endswith(".json") else texts[path]
        parts.append(
            f"{json.dumps(path)}: [function (module, exports, require) {{\n{body}\n}},"
            f" {json.dumps(names[path], sort_keys=True)}],\n"
        )
    parts.append("};\n" + _LOADER)
    parts.append(f"export const internals = load;\nexport default load({json.dumps(entry)});\n")
    return "".join(parts)


def _resolved(name: str, by: str, read: Callable[[str], str | None], mains: Mapping[str, str]) -> str:
    if name in mains:
        return f"{name}/{mains[name]}"
    path = posixpath.normpath(posixpath.join(posixpath.dirname(by), name)) if name.startswith(".") else name
    for candidate in (path, f"{path}.js", f"{path}/index.js"):
        if read(candidate) is not None:
            return candidate
    raise SetupError(f"{by} requires {name}, which the packages of assets.toml do not have")

"""Microsoft's own analyser of KQL, run in Node: what our check is held against, and timed beside.

It is not part of this project and is never copied into it. `npm install @kusto/language-service-next@12.4.1` in any
folder brings it; `TRACEHOUND_KUSTO` names its folder `node_modules/@kusto/language-service-next`.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SETTING = "TRACEHOUND_KUSTO"
_FILES = ("bridge.min.js", "Kusto.Language.Bridge.min.js")
_SECONDS = 900

_SCRIPT = """
const fs = require("fs"), path = require("path"), vm = require("vm");
const [folder, schemaFile, functionFile] = process.argv.slice(2);
for (const name of ["bridge.min.js", "Kusto.Language.Bridge.min.js"])
  vm.runInThisContext(fs.readFileSync(path.join(folder, name), "utf8"), { filename: name });
const Language = Kusto.Language, Symbols = Language.Symbols, read = (name) => JSON.parse(fs.readFileSync(name, "utf8"));
const members = [];
for (const [table, columns] of Object.entries(read(schemaFile))) {
  const listed = Object.entries(columns).map(([name, kind]) => `['${name.replace(/'/g, "\\\\'")}']:${kind}`);
  members.push(new Symbols.TableSymbol.$ctor7(table, `(${listed.join(", ")})`, null));
}
for (const [name, declared] of Object.entries(read(functionFile)))
  members.push(new Symbols.FunctionSymbol.$ctor16(name, declared.parameters, declared.body, null));
const database = new Symbols.DatabaseSymbol.$ctor3("db", null, System.Array.init(members, Symbols.Symbol), false);
const databases = System.Array.init([database], Symbols.DatabaseSymbol);
const cluster = new Symbols.ClusterSymbol.$ctor1("cluster", databases, false);
const globals = Language.GlobalState.Default.WithCluster(cluster).WithDatabase(database);
const errors = (code) => {
  const found = code.GetDiagnostics(), kept = [];
  for (let at = 0; at < found.Count; at++) {
    const one = found.getItem(at);
    if (one.Severity === "Error") kept.push(`${one.Code} ${one.Message}`);
  }
  return kept;
};
for (const line of fs.readFileSync(0, "utf8").split("\\n").filter(Boolean)) {
  const text = JSON.parse(line);
  let answer;
  try {
    const start = process.hrtime.bigint(), whole = errors(Language.KustoCode.ParseAndAnalyze(text, globals));
    const ms = Number(process.hrtime.bigint() - start) / 1e6;
    answer = { ms, errors: whole, syntax: errors(Language.KustoCode.Parse(text)) };
  } catch (problem) {
    answer = { ms: 0, crashed: String(problem && problem.message || problem) };
  }
  process.stdout.write(JSON.stringify(answer) + "\\n");
}
"""


@dataclass(frozen=True, slots=True)
class Analysed:
    """What the analyser says of a query; `ms` is the time of its whole analysis. None where it failed itself."""

    syntax_ok: bool | None
    schema_ok: bool | None
    ms: float
    errors: tuple[str, ...]


def missing() -> str | None:
    """Why the analyser cannot be run here; None when it can."""
    folder = os.environ.get(SETTING)
    if not folder:
        return f"{SETTING} does not name the folder of @kusto/language-service-next"
    if not all((Path(folder) / name).is_file() for name in _FILES):
        return f"{folder} ({SETTING}) does not hold {' and '.join(_FILES)}"
    if shutil.which("node") is None:
        return "there is no node on the PATH"
    return None


def analyse(
    texts: Sequence[str], schema: Mapping[str, Mapping[str, str]], functions: Mapping[str, Any]
) -> list[Analysed]:
    """The analyser's verdict on each query, from one process of Node; see `missing` first.

    Args:
        texts: Queries.
        schema: Table to column to type.
        functions: Name to `parameters` and `body`.
    """
    with TemporaryDirectory(prefix="tracehound-kusto-") as place:
        script, tables, declared = (Path(place) / name for name in ("run.js", "schema.json", "functions.json"))
        script.write_text(_SCRIPT, encoding="utf-8")
        tables.write_text(json.dumps(schema), encoding="utf-8")
        declared.write_text(json.dumps(functions), encoding="utf-8")
        done = subprocess.run(
            ["node", "--stack-size=4000", str(script), os.environ[SETTING], str(tables), str(declared)],
            input="".join(json.dumps(text) + "\n" for text in texts),
            capture_output=True,
            check=True,
            encoding="utf-8",
            timeout=_SECONDS,
        )
    return [_analysed(json.loads(line)) for line in done.stdout.splitlines()]


def _analysed(answer: Mapping[str, Any]) -> Analysed:
    if "crashed" in answer:
        return Analysed(None, None, 0.0, (str(answer["crashed"]),))
    return Analysed(not answer["syntax"], not answer["errors"], float(answer["ms"]), tuple(answer["errors"]))

"""`python -m tracehound.evals.bench.explain`: what of hidden texts comes out, by how they are hidden; what is accused."""

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path

from ...tools.explain import explain
from ..makers.obfuscation import HARMLESS, Sample, samples

ACCUSED = "Seldom right in daily work"


def comes_out(sample: Sample) -> bool:
    """Whether a layer of the explanation says what was hidden; spaces and case apart."""
    found = explain(sample.text)
    return any(_plain(sample.hidden) in _plain(text) for text in (layer.text for layer in found.layers))


def accused(text: str) -> bool:
    """Whether an explanation calls a text malicious."""
    return any(sentence.startswith(ACCUSED) for sentence in explain(text).sentences)


def _plain(text: str) -> str:
    return "".join(text.replace("''", "'").replace('"', "").lower().split())


def main() -> int:
    """Print the rate of each kind; the exit code says whether everything harmless was left alone."""
    parser = argparse.ArgumentParser(prog="python -m tracehound.evals.bench.explain", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="0")
    parser.add_argument("--missed", action="store_true", help="print what did not come out")
    parser.add_argument("-o", "--output", type=Path, help="write the outcomes as JSON")
    arguments = parser.parse_args()
    started = time.perf_counter()
    found: dict[str, list[tuple[Sample, bool]]] = defaultdict(list)
    for sample in samples(arguments.seed):
        found[sample.kind].append((sample, comes_out(sample)))
    seconds = time.perf_counter() - started
    wrong = [text for text in HARMLESS if accused(text)]
    for kind, group in found.items():
        print(f"{kind:<30}{sum(out for _, out in group)} of {len(group)}")
    every = [out for group in found.values() for _, out in group]
    print(
        f"decoded {sum(every)} of {len(every)} = {sum(every) / len(every):.1%}; {1000 * seconds / len(every):.0f} ms each"
    )
    print(f"harmless command lines that are accused: {len(wrong)} of {len(HARMLESS)}")
    for text in wrong:
        print(f"  accused: {text}")
    if arguments.missed:
        for group in found.values():
            for sample, out in group:
                if not out:
                    print(f"  missed, {sample.kind}: {sample.text[:300]}")
    if arguments.output:
        rates = {kind: sum(out for _, out in group) / len(group) for kind, group in found.items()}
        arguments.output.write_text(json.dumps({"decoded": rates, "accused": wrong}, indent=2) + "\n", encoding="utf-8")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

"""Scale of the evidence store: `python -m tracehound.evals.bench.evidence [--events N ...]`.

For 10 thousand, 100 thousand and 1 million events in one run, each in a process of its own: seconds to take rows in
(parsed, hashed, normalised, stored), seconds from the stored events to the merged timeline, CPU seconds of all
processes (on a busy machine the only number that says something; of the merge with the start of its processes), memory
at its worst, and the ratio of the CPU time for one event to that of the smallest size. Events are of five classes, from
two platforms that report the same happenings with other names and clocks.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ...tools.evidence.case import Case
from ...tools.evidence.timeline import timeline
from ...tools.languages.query import Check, Language, Platform, Query
from ...tools.languages.search import Window
from ...tools.vendors.estate import Coverage, QueryRun

START = datetime(2026, 11, 1, tzinfo=UTC)
SIZES = (10_000, 100_000, 1_000_000)
BATCH = 5_000
KINDS = ("process", "network", "dns", "file", "logon")


def row(number: int, platform: Platform) -> dict[str, Any]:
    """One row; every third happening is reported by both platforms."""
    moment = START + timedelta(milliseconds=number * 250)
    host, user, kind = f"srv-{number % 400}", f"user{number % 900}", KINDS[number % len(KINDS)]
    name = f"tool{number % 700}.exe"
    if platform is Platform.DEFENDER:
        return {
            "Timestamp": (moment + timedelta(seconds=1)).isoformat().replace("+00:00", "Z"),
            "DeviceName": f"{host}.corp.example", "ActionType": "ProcessCreated", "FileName": name,
            "FolderPath": f"C:\\Tools\\{name}", "ProcessCommandLine": f"{name} /job {number}", "ProcessId": number % 60_000,
            "AccountName": user, "AccountDomain": "corp", "InitiatingProcessFileName": "cmd.exe", "ReportId": number,
            "InitiatingProcessId": 77, "DeviceId": f"{number % 400:040x}",
        }  # fmt: skip
    made = {
        "eventTime": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "endpointName": f"{host}.corp.example", "agentUuid": f"{number % 400:032x}",
        "srcProcName": "cmd.exe", "srcProcPid": 77, "srcProcUser": f"CORP\\{user}",
        "id": str(number),
    }  # fmt: skip
    match kind:
        case "process":
            return made | {"eventType": "Process Creation", "tgtProcName": name, "tgtProcPid": number % 60_000,
                           "tgtProcCmdLine": f"{name} /job {number}", "tgtProcUser": f"CORP\\{user}"}  # fmt: skip
        case "network":
            return made | {"eventType": "IP Connect", "dstIp": f"10.1.{number % 250}.{number % 200}", "dstPort": 443,
                           "srcIp": "10.2.3.4", "netConnDirection": "OUTGOING"}  # fmt: skip
        case "dns":
            return made | {"eventType": "DNS Resolved", "dnsRequest": f"host{number % 5_000}.example"}
        case "file":
            return made | {"eventType": "File Creation", "tgtFilePath": f"C:\\Data\\{number % 3_000}\\{number}.txt"}
        case _:
            return made | {"eventType": "Login", "loginsUserName": user, "loginType": "NETWORK"}


def runs(events: int) -> Iterator[QueryRun]:
    """Runs that bring so many rows, in batches, two thirds of them from one platform."""
    third = max(events // 3, 1)
    plan = [(Platform.SENTINELONE, "events", n) for n in range(events - third)]
    plan += [(Platform.DEFENDER, "DeviceProcessEvents", n * 5) for n in range(third)]
    for at in range(0, len(plan), BATCH):
        for platform in dict.fromkeys(item[0] for item in plan[at : at + BATCH]):
            part = [item for item in plan[at : at + BATCH] if item[0] is platform]
            rows = [row(number, platform) for _, _, number in part]
            language = Language.KQL if platform is Platform.DEFENDER else Language.S1QL
            query = Query(
                platform=platform, language=language, collection=part[0][1], text="all", limit=BATCH, event_class=None,
                window=Window(start=START, end=START + timedelta(days=400)), search=None,
                check=Check(language, ok=True, read_only=True),
            )  # fmt: skip
            coverage = Coverage(rows=len(rows), total=len(rows), complete=True)
            yield QueryRun(query=query, status="ok", rows=rows, coverage=coverage, started=START)


def taken_in(home: Path, events: int) -> dict[str, Any]:
    """Put rows into a new case; seconds spent in the store alone, and the case's id."""
    spent = cpu = 0.0
    with Case.create(home) as case:
        for run in runs(events):
            begun, begun_cpu = time.perf_counter(), time.process_time()
            case.add_run(run)
            spent, cpu = spent + time.perf_counter() - begun, cpu + time.process_time() - begun_cpu
        return {"case": case.id, "seconds": spent, "cpu": cpu, "megabytes": _resident(os.getpid(), peak=True)}


def merged(home: Path, case_id: str) -> dict[str, Any]:
    """Merge what a case holds; seconds, number of entries, and the memory of all processes at their worst."""
    watch = _Watch()
    with watch:
        begun = time.perf_counter()
        count = ids = 0
        for moment in timeline(home, case_id):
            count += 1
            ids += len(moment.evidence)
        spent = time.perf_counter() - begun
    used = os.times()
    cpu = used.user + used.system + used.children_user + used.children_system
    return {"seconds": spent, "cpu": cpu, "entries": count, "events": ids, "megabytes": watch.worst}


class _Watch:
    """Looks at the memory of this process and its children ten times a second."""

    def __enter__(self) -> None:
        self.worst, self._done = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.1):
            family = [os.getpid(), *_children(os.getpid())]
            self.worst = max(self.worst, sum(map(_resident, family)))


def _children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [int(child) for child in found]


def _resident(pid: int, *, peak: bool = False) -> float:
    """Megabytes; 0 where the system does not say."""
    wanted = "VmHWM" if peak else "VmRSS"
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status if line.startswith(wanted)), 0.0)


def _apart(step: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tracehound.evals.bench.evidence", step, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print the table, or do one step of it in this process."""
    if sys.argv[1:2] == ["--take-in"]:
        print(json.dumps(taken_in(Path(sys.argv[2]), int(sys.argv[3]))))
        return
    if sys.argv[1:2] == ["--merge"]:
        print(json.dumps(merged(Path(sys.argv[2]), sys.argv[3])))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, nargs="+", default=list(SIZES))
    sizes: list[int] = parser.parse_args().events
    print(
        f"{'events':>9} {'in s':>7} {'CPU':>6} {'MB':>5}   {'merge s':>8} {'CPU':>6} {'µs each':>8} {'ratio':>6} {'MB':>5}"
    )
    smallest = 0.0
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            taken = _apart("--take-in", folder, str(size))
            made = _apart("--merge", folder, taken["case"])
        each = made["cpu"] / size * 1e6
        smallest = smallest or each
        print(
            f"{size:>9,} {taken['seconds']:>7.1f} {taken['cpu']:>6.1f} {taken['megabytes']:>5.0f}   {made['seconds']:>8.1f} "
            f"{made['cpu']:>6.1f} {each:>8.1f} {each / smallest:>6.2f} {made['megabytes']:>5.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""The verifier, judged by worlds, sentences and mutations that are written here by hand."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tracehound.tools.evidence.records import CheckRecord, Claim, Evidence, QueryRecord, WindowRecord
from tracehound.tools.evidence.verify import verify
from tracehound.tools.library import HuntLibrary

T = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = WindowRecord(start=T, end=T + timedelta(days=1))
HOSTS = ["PC-101", "PC-102", "SRV-201", "SRV-202", "DB-301"]
USERS = ["a.baker", "c.dufour", "e.farkas", "svc-copy", "g.huber"]
FILES = ["report.docm", "fin.7z", "tool.exe", "dump.dmp", "note.iso"]
PROGRAMS = ["powershell.exe", "rclone.exe", "winword.exe", "rundll32.exe", "mshta.exe"]
ADDRESSES = ["203.0.113.7", "203.0.113.77", "198.51.100.4", "10.4.0.9", "10.4.0.90"]


def z(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


@dataclass
class World:
    """Random rows, and sentences that are true of them."""

    rng: random.Random
    rows: list[Evidence] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    queries: list[QueryRecord] = field(default_factory=list)

    def moment(self) -> datetime:
        # Far enough apart that no two claims are one happening.
        return T + timedelta(minutes=20 * (len(self.claims) + 1), seconds=self.rng.randrange(300))

    def row(
        self, event_class: str, moment: datetime, host: str | None, fields: dict[str, Any], platform: str = "falcon"
    ) -> str:
        raw = {"n": len(self.rows), **fields, "at": z(moment)}
        sha256 = hashlib.sha256(json.dumps(raw).encode()).hexdigest()
        user = fields.get("user.name") or fields.get("actor.user.name")
        flat = {"time": moment.isoformat(), **({"device.hostname": host} if host else {}), **fields}
        item = Evidence(
            id=f"E-{sha256[:12]}", alias=f"E{len(self.rows) + 1}", query="Q1", platform=platform, collection=event_class,
            time=moment, host=host, user=user, event_class=event_class, fields=flat, raw=raw, sha256=sha256,
        )  # fmt: skip
        self.rows.append(item)
        return item.id

    def say(
        self,
        predicate: str,
        subject: str,
        obj: str,
        text: str,
        ids: list[str],
        moment: datetime | None,
        queries: tuple[str, ...] = (),
    ) -> None:
        self.claims.append(
            Claim(
                id=f"C{len(self.claims) + 1}", kind="observation", subject=subject, predicate=predicate, object=obj,
                evidence=tuple(ids), queries=queries, text=text, time=moment,
            )
        )  # fmt: skip

    def launch(self) -> None:
        host, user, at = self.rng.choice(HOSTS), self.rng.choice(USERS), self.moment()
        parent, child = self.rng.sample(PROGRAMS, 2)
        cmd = f"{child} -w 1 http://{self.rng.choice(ADDRESSES)}/{self.rng.randrange(999)}"
        fields = {"activity": "Launch", "process.name": child, "process.cmd_line": cmd, "actor.process.name": parent,
                  "actor.user.name": user}  # fmt: skip
        ids = [self.row("process_activity", at, host, fields)]
        if self.rng.random() < 0.5:
            ids.append(self.row("process_activity", at + timedelta(seconds=1), host, fields, "sentinelone"))
        self.say("started", parent, child, f"{parent} started {child} on {host} as {user}: `{cmd}`", ids, at)

    def dump(self) -> None:
        host, user, at = self.rng.choice(HOSTS), self.rng.choice(USERS), self.moment()
        cmd = "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 712 C:\\x.dmp full"
        fields = {"activity": "Launch", "process.name": "rundll32.exe", "process.cmd_line": cmd,
                  "actor.process.name": "cmd.exe", "actor.user.name": user}  # fmt: skip
        ids = [self.row("process_activity", at, host, fields)]
        text = f"cmd.exe started rundll32.exe on {host} as {user}: `{cmd}`"
        self.say("started", "cmd.exe", "rundll32.exe", text, ids, at)

    def connection(self) -> None:
        host, at, address, program = (
            self.rng.choice(HOSTS), self.moment(), self.rng.choice(ADDRESSES), self.rng.choice(PROGRAMS),
        )  # fmt: skip
        port = self.rng.randrange(1_000, 9_999)
        fields = {"activity": "Open", "connection.direction": "Outbound", "actor.process.name": program,
                  "dst_endpoint.ip": address, "dst_endpoint.port": port, "src_endpoint.ip": "10.4.1.1"}  # fmt: skip
        ids = [self.row("network_activity", at, host, fields)]
        self.say("connected to", program, address, f"{program} connected to {address} port {port} from {host}", ids, at)

    def inbound(self) -> None:
        host, at, address = self.rng.choice(HOSTS), self.moment(), self.rng.choice(ADDRESSES)
        fields = {"activity": "Open", "connection.direction": "Inbound", "src_endpoint.ip": address,
                  "dst_endpoint.ip": "10.4.1.2", "dst_endpoint.port": 445}  # fmt: skip
        ids = [self.row("network_activity", at, host, fields)]
        text = f"{host} accepted a connection from {address} on port 445"
        self.say("accepted connection", host, address, text, ids, at)

    def logon(self, status: str) -> None:
        host, at, address, user = (
            self.rng.choice(HOSTS), self.moment(), self.rng.choice(ADDRESSES), self.rng.choice(USERS),
        )  # fmt: skip
        fields = {"activity": "Logon", "status": status, "user.name": user, "src_endpoint.ip": address,
                  "logon_type": "Network"}  # fmt: skip
        ids = [self.row("authentication", at, host, fields)]
        done = "logged on" if status == "Success" else "failed to log on"
        self.say(done, user, host, f"{user} {done} to {host} from {address} (Network)", ids, at)

    def file(self, activity: str, predicate: str) -> None:
        host, at, program = self.rng.choice(HOSTS), self.moment(), self.rng.choice(PROGRAMS)
        path = f"C:\\Temp\\{self.rng.choice(FILES)}"
        ids = [
            self.row(
                "file_activity", at, host, {"activity": activity, "actor.process.name": program, "file.path": path}
            )
        ]
        self.say(predicate, program, path, f"{program} {predicate} `{path}` on {host}", ids, at)

    def service(self) -> None:
        host, at, name = self.rng.choice(HOSTS), self.moment(), f"svc{self.rng.randrange(10**6)}"
        image = f"C:\\Temp\\{self.rng.choice(FILES)}"
        fields = {"activity": "Create", "service.name": name, "service.cmd_line": image}
        ids = [self.row("service_activity", at, host, fields, "sentinel")]
        self.say("service installed", name, host, f"the service {name} was installed on {host}: `{image}`", ids, at)

    def beacon(self) -> None:
        host, at, address, program = (
            self.rng.choice(HOSTS), self.moment(), self.rng.choice(ADDRESSES), self.rng.choice(PROGRAMS),
        )  # fmt: skip
        number = self.rng.randrange(4, 9)
        fields = {"activity": "Open", "connection.direction": "Outbound", "actor.process.name": program,
                  "dst_endpoint.ip": address, "dst_endpoint.port": 443}  # fmt: skip
        times = [at + timedelta(seconds=60 * step) for step in range(number)]
        ids = [self.row("network_activity", moment, host, fields) for moment in times]
        text = (
            f"{program} connected to {address} port 443 from {host} "
            f"({number} times between {z(times[0])} and {z(times[-1])})"
        )
        self.say("connected to", program, address, text, ids, at)

    def spray(self) -> None:
        at, address = self.moment(), self.rng.choice(ADDRESSES)
        users = self.rng.sample(USERS, self.rng.randrange(2, 5))
        times = [at + timedelta(seconds=20 * step) for step in range(len(users) * 2)]
        ids = [
            self.row("authentication", moment, None, {
                "activity": "Logon", "status": "Failure", "is_mfa": "false", "user.name": users[step % len(users)],
                "src_endpoint.ip": address, "app.name": "IMAP"}, "sentinel")
            for step, moment in enumerate(times)
        ]  # fmt: skip
        text = (
            f"{len(users)} accounts failed to sign in to IMAP from {address} "
            f"({len(times)} times between {z(times[0])} and {z(times[-1])})"
        )
        self.say("failed to sign in", f"{len(users)} accounts", "IMAP", text, ids, at)

    def alert(self) -> None:
        host, at = self.rng.choice(HOSTS), self.moment()
        fields = {"finding.uid": f"a{len(self.rows)}", "finding.title": f"Rule {self.rng.randrange(99)}", "severity": "High",
                  "finding.product": "Sensor"}  # fmt: skip
        ids = [self.row("detection_finding", at, host, fields)]
        text = f"Sensor raised `{fields['finding.title']}` (High) on {host}"
        self.say("raised alert", "Sensor", fields["finding.title"], text, ids, at)

    def absence(self) -> None:
        query = f"Q{len(self.queries) + 1}"
        platform = self.rng.choice(["falcon", "sentinelone", "sentinel"])
        self.queries.append(
            QueryRecord(
                id=query, platform=platform, language="cql", collection="events", text="x", check=CheckRecord(ok=True),
                status="ok", rows=0, kept=0, total=0, complete=True, window=WINDOW,
            )
        )  # fmt: skip
        text = f"no logon by {self.rng.choice(USERS)} in {platform} between {z(WINDOW.start)} and {z(WINDOW.end)}"
        self.say("not found", "logon", platform, text, [], None, queries=(query,))


def world(seed: int) -> World:
    made = World(random.Random(seed))
    made.queries.append(
        QueryRecord(
            id="Q1", platform="falcon", language="cql", collection="events", text="x", check=CheckRecord(ok=True),
            status="ok", rows=9, complete=True, window=WINDOW,
        )
    )  # fmt: skip
    for _ in range(2):
        made.launch()
        made.connection()
        made.inbound()
        made.logon("Success")
        made.logon("Failure")
        made.file("Create", "wrote")
        made.file("Delete", "deleted")
        made.service()
        made.beacon()
        made.spray()
        made.alert()
        made.absence()
    return made


def check(made: World, claims: list[Claim], queries: list[QueryRecord] | None = None) -> list[Claim]:
    return verify(claims, made.rows, queries or made.queries, window=WINDOW)[0]


@pytest.mark.parametrize("seed", range(12))
def test_what_is_true_passes(seed: int) -> None:
    made = world(seed)
    checked, counts = verify(made.claims, made.rows, made.queries, window=WINDOW)
    assert [(claim.text, claim.why_not) for claim in checked if not claim.verified] == []
    assert (counts.claims, counts.verified, counts.uncited, counts.failed) == (24, 24, 0, 0)


def swapped(text: str, pool: list[str], rng: random.Random) -> str | None:
    present = [item for item in pool if item in text]
    if not present:
        return None
    old = rng.choice(present)
    return text.replace(old, rng.choice([item for item in pool if item != old and item not in text]))


def in_parts(claim: Claim, pool: list[str], rng: random.Random) -> Claim | None:
    present = [item for item in pool if item in claim.text]
    if not present:
        return None
    old = rng.choice(present)
    new = rng.choice([item for item in pool if item not in claim.text])
    parts = {name: getattr(claim, name).replace(old, new) for name in ("text", "subject", "object")}
    return claim.model_copy(update=parts)


OUTCOMES = {
    "logged on": "failed to log on",
    "failed to log on": "logged on",
    "failed to sign in": "signed in",
    "wrote": "deleted",
    "deleted": "wrote",
    "started": "ended",
    "connected to": "failed to connect",
    "service installed": "service removed",
}


def mutations(claim: Claim, made: World) -> Iterator[tuple[str, Claim]]:
    """False variants of a true claim."""
    rng = made.rng
    pools = {"host": HOSTS, "user": USERS, "file": FILES, "program": PROGRAMS, "address": ADDRESSES}
    if claim.predicate == "not found":
        yield "drop citation", claim.model_copy(update={"queries": ()})
        yield "query of no case", claim.model_copy(update={"queries": ("Q999",)})
        yield "query with rows", claim.model_copy(update={"queries": ("Q1",)})
        other = next(item for item in ("falcon", "sentinelone", "sentinel", "defender") if item != claim.object)
        yield (
            "other platform",
            claim.model_copy(update={"text": claim.text.replace(f"in {claim.object}", f"in {other}"), "object": other}),
        )
        early = z(WINDOW.start - timedelta(days=3))
        yield "wider window", claim.model_copy(update={"text": claim.text.replace(z(WINDOW.start), early)})
        return
    for kind, pool in pools.items():
        text = swapped(claim.text, pool, rng)
        if text:
            yield f"swap {kind} in text", claim.model_copy(update={"text": text})
        changed = in_parts(claim, pool, rng)
        if changed:
            yield f"swap {kind} everywhere", changed
    yield "drop citation", claim.model_copy(update={"evidence": ()})
    others = [row.id for row in made.rows if row.id not in claim.evidence]
    yield "cite other rows", claim.model_copy(update={"evidence": (rng.choice(others),)})
    yield "cite one row more", claim.model_copy(update={"evidence": (*claim.evidence, rng.choice(others))})
    yield "cite what is not there", claim.model_copy(update={"evidence": ("E-000000000000",)})
    assert claim.time is not None
    yield "shift time", claim.model_copy(update={"time": claim.time + timedelta(seconds=rng.choice([-600, 40, 7_200]))})
    yield "no such technique", claim.model_copy(update={"techniques": ("T9999",)})
    yield "likelihood", claim.model_copy(update={"text": f"very likely {claim.text}"})
    yield "unknown verb", claim.model_copy(update={"predicate": "exfiltrated through"})
    yield "addition", claim.model_copy(update={"text": f"{claim.text} and then isolated {rng.choice(HOSTS)}"})
    if claim.predicate in OUTCOMES:
        new = OUTCOMES[claim.predicate]
        yield "outcome", claim.model_copy(update={"predicate": new, "text": claim.text.replace(claim.predicate, new)})
        yield "outcome in predicate alone", claim.model_copy(update={"predicate": new})
    if claim.predicate in ("started", "connected to", "accepted connection"):
        text = claim.text.replace(claim.subject, "\0").replace(claim.object, claim.subject).replace("\0", claim.object)
        yield "direction", claim.model_copy(update={"subject": claim.object, "object": claim.subject, "text": text})
    if " times between " in claim.text:
        words = claim.text.split(" times between ")
        number = int(words[0].rsplit("(", 1)[1])
        changed_text = claim.text.replace(f"({number} times", f"({number + rng.choice([-1, 1, 100])} times")
        yield "count", claim.model_copy(update={"text": changed_text})
        yield "drop rows of a burst", claim.model_copy(update={"evidence": claim.evidence[:-1]})
    if " accounts " in claim.text:
        number = int(claim.text.split(" accounts")[0])
        parts = {
            name: getattr(claim, name).replace(f"{number} accounts", f"{number + 3} accounts")
            for name in ("text", "subject")
        }
        yield "count of accounts", claim.model_copy(update=parts)
    if " port " in claim.text:
        digits = claim.text.split(" port ")[1].split(" ")[0]
        yield "port", claim.model_copy(update={"text": claim.text.replace(f"port {digits}", f"port {int(digits) + 1}")})


def test_mutations_of_true_claims_are_caught(capsys: pytest.CaptureFixture[str]) -> None:
    tried: Counter[str] = Counter()
    missed: dict[str, list[str]] = {}
    for seed in range(100, 112):
        made = world(seed)
        for claim in made.claims:
            for kind, changed in list(mutations(claim, made)):
                if changed == claim:
                    continue
                tried[kind] += 1
                (checked,) = check(made, [changed])
                if checked.verified:
                    missed.setdefault(kind, []).append(changed.text)
    total, lost = sum(tried.values()), sum(map(len, missed.values()))
    with capsys.disabled():
        print(f"\nmutations: {total - lost} of {total} caught, {len(tried)} kinds")
    assert len(tried) >= 25
    assert total > 2_500
    assert missed == {}


def test_a_query_that_is_not_whole_supports_no_absence() -> None:
    made = world(1)
    claim = next(claim for claim in made.claims if claim.predicate == "not found")
    spoilt: list[dict[str, Any]] = [
        {"complete": False, "incomplete_because": "row cap"},
        {"rows": 1, "kept": 1},
        {"status": "error", "error": "HTTP 500"},
        {"window": WindowRecord(start=T + timedelta(hours=1), end=WINDOW.end)},
        {"window": WindowRecord(start=T, end=WINDOW.end - timedelta(hours=1))},
        {"platform": "defender"},
    ]
    for change in spoilt:
        queries = [item.model_copy(update=change) if item.id in claim.queries else item for item in made.queries]
        (checked,) = check(made, [claim], queries)
        assert not checked.verified, change
        assert checked.why_not


def test_rows_that_a_superset_query_returned_and_the_search_dropped_are_no_finding() -> None:
    made = world(1)
    claim = next(claim for claim in made.claims if claim.predicate == "not found")

    def asked(**change: Any) -> list[QueryRecord]:
        return [item.model_copy(update=change) if item.id in claim.queries else item for item in made.queries]

    assert check(made, [claim], asked(rows=8, kept=0, cannot_express=("x",)))[0].verified
    assert not check(made, [claim], asked(rows=8, kept=1, cannot_express=("x",)))[0].verified
    assert not check(made, [claim], asked(rows=8, kept=8))[0].verified


def test_an_absence_speaks_of_whom_the_query_asked() -> None:
    made = world(6)
    claim = next(claim for claim in made.claims if claim.predicate == "not found")
    user = next(item for item in USERS if item in claim.text)
    other = next(item for item in USERS if item != user and any(row.user == item for row in made.rows))

    def asked(text: str) -> list[QueryRecord]:
        return [item.model_copy(update={"text": text}) if item.id in claim.queries else item for item in made.queries]

    assert check(made, [claim], asked(f'UserName = "{user.upper()}"'))[0].verified
    assert check(made, [claim], asked("a query over every account"))[0].verified
    made.rows[0] = made.rows[0].model_copy(update={"fields": made.rows[0].fields | {"user.name": user}})
    assert not check(made, [claim], asked(f'UserName = "{other}"'))[0].verified


def assessment(text: str, evidence: tuple[str, ...], **more: Any) -> Claim:
    return Claim(
        id="C1", kind="assessment", subject="", predicate="assessed", object="", evidence=evidence, text=text, **more
    )


def test_assessments_are_never_verified_and_fail_for_what_can_be_checked() -> None:
    made = World(random.Random(3))
    made.dump()
    made.logon("Success")
    first, second = made.claims[0].evidence[0], made.claims[1].evidence[0]
    host = next(row.host for row in made.rows if row.id == first)
    other = next(item for item in HOSTS if item not in {row.host for row in made.rows})
    good = [
        assessment(f"The program on {host} is probably malicious.", (first,)),
        assessment("One came before the other.", (first, second)),
        assessment("This is credential access (T1003.001).", (first,)),
    ]
    bad = {
        "it cites nothing": assessment("Something is wrong.", ()),
        "E-00": assessment("x", ("E-000000000000",)),
        "203.0.113.250": assessment("It went to 203.0.113.250.", (first,)),
        "T9999": assessment("This is T9999.", (first,)),
        "T1486": assessment("This is encryption (T1486).", (first,)),
        "confidence": assessment("It is likely, with high confidence, malicious.", (first,)),
        "order": assessment("One came before the other.", (second, first)),
    }
    checked, counts = verify([*good, *bad.values()], made.rows, made.queries, library=HuntLibrary.load())
    assert [claim.verified for claim in checked] == [False] * 10
    assert [claim.why_not for claim in checked[:3]] == ["assessment - not machine-checked"] * 3
    for expected, claim in zip(bad, checked[3:], strict=True):
        assert claim.why_not is not None
        assert expected in claim.why_not
    assert (counts.claims, counts.verified, counts.assessments, counts.uncited, counts.failed) == (10, 0, 3, 1, 7)
    swapped_host = assessment(f"{other} is affected.", (first,))
    made.row("dns_activity", T, other, {"query.hostname": "x.example"})
    assert verify([swapped_host], made.rows, [])[1].failed == 1


def test_phrases_before_a_sentence_are_those_of_the_hunts() -> None:
    made = World(random.Random(5))
    made.launch()
    said = made.claims[0].model_copy(update={"text": f"Macro started a shell: {made.claims[0].text}"})
    assert verify([said], made.rows, [], phrases={"Macro started a shell"})[0][0].verified
    assert not verify([said], made.rows, [], phrases={"Something else"})[0][0].verified
    assert verify([said], made.rows, [])[0][0].verified
    named = made.claims[0].model_copy(update={"text": f"Attack on 203.0.113.251: {made.claims[0].text}"})
    assert not verify([named], made.rows, [])[0][0].verified


def test_gaps_and_recommendations_are_counted_apart() -> None:
    made = world(2)
    claims = [
        Claim(id="C1", kind="gap", subject="capped", predicate="not known", object="", queries=("Q1",), text="x"),
        Claim(id="C2", kind="gap", subject="capped", predicate="not known", object="", queries=("Q999",), text="x"),
        Claim(id="C3", kind="recommendation", subject="", predicate="recommended", object="", text="Isolate it."),
    ]
    checked, counts = verify(claims, made.rows, made.queries)
    assert [claim.verified for claim in checked] == [True, False, False]
    assert (counts.gaps, counts.assessments, counts.failed, counts.uncited) == (1, 1, 1, 0)


def test_hostile_values_in_claims_neither_pass_nor_crash() -> None:
    made = world(4)
    for text in ("\ud800", "(" * 500, "`" * 99, "\\", "(?:.*)", "x" * 100_000, "\x00", "[[[", "$^"):
        claim = made.claims[0].model_copy(update={"text": text, "subject": text, "object": text})
        assert not check(made, [claim])[0].verified


def test_verification_is_fast_enough_to_run_on_every_answer() -> None:
    made = world(9)
    claims = made.claims * 10
    started = datetime.now(UTC)
    verify(claims, made.rows, made.queries, window=WINDOW)
    assert datetime.now(UTC) - started < timedelta(seconds=5)

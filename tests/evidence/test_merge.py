import random
from datetime import UTC, datetime, timedelta
from typing import Any

from tracehound.tools.evidence.event import Event
from tracehound.tools.evidence.merge import Group, group_of, merge
from tracehound.tools.languages.query import Platform
from tracehound.tools.languages.vocabulary import EventClass

T = datetime(2026, 11, 1, 10, tzinfo=UTC)
_serial = iter(range(10**6))


def event(
    event_class: EventClass,
    seconds: float = 0,
    platform: Platform = Platform.FALCON,
    collection: str = "events",
    host: str | None = "PC-9",
    **fields: Any,
) -> Event:
    flat = {name.replace("__", "."): value for name, value in fields.items()}
    user = flat.get("user.name") or flat.get("actor.user.name")
    moment = T + timedelta(seconds=seconds)
    return Event(f"E-{next(_serial):012x}", platform, collection, event_class, moment, host, user, flat)


def launch(seconds: float, platform: Platform, collection: str = "events", **fields: Any) -> Event:
    return event(EventClass.PROCESS, seconds, platform, collection, **({"activity": "Launch"} | fields))


def sizes(groups: list[Group]) -> list[int]:
    return [len(group.events) for group in groups]


def test_one_launch_seen_by_three_sensors_is_one_group() -> None:
    events = [
        launch(0, Platform.FALCON, process__name="whoami.exe", process__pid=44, process__cmd_line="whoami  /ALL"),
        launch(
            1, Platform.DEFENDER, "DeviceProcessEvents", process__name="Whoami.exe", process__cmd_line="whoami /all"
        ),
        launch(
            2,
            Platform.SENTINEL,
            "SecurityEvent",
            process__path="C:\\Windows\\System32\\whoami.exe",
            process__pid="0x2c",
        ),
    ]
    (group,) = merge(events)
    assert (group.kind, group.count, len(group.events)) == ("same", 1, 3)
    assert (group.first, group.last) == (T, T + timedelta(seconds=2))


def test_two_runs_of_one_command_stay_apart() -> None:
    def report(seconds: float, pid: int, platform: Platform) -> Event:
        return launch(seconds, platform, process__name="whoami.exe", process__pid=pid, process__cmd_line="whoami")

    events = [
        report(at, pid, platform)
        for platform in (Platform.FALCON, Platform.SENTINELONE)
        for at, pid in ((0, 1), (1, 2))
    ]
    assert sizes(merge(events)) == [2, 2]
    # One sensor reports each happening once: without any id, two rows of it are two happenings.
    rows = [launch(at, Platform.FALCON, process__name="whoami.exe", process__cmd_line="whoami") for at in (0, 1)]
    assert sizes(merge(rows)) == [1, 1]


def test_what_contradicts_stays_apart() -> None:
    base = {"process__name": "a.exe", "process__cmd_line": "a"}
    pairs = [
        (launch(0, Platform.FALCON, **base), launch(0, Platform.SENTINELONE, host="PC-8", **base)),
        (launch(0, Platform.FALCON, **base), launch(30, Platform.SENTINELONE, **base)),
        (launch(0, Platform.FALCON, **base), launch(0, Platform.SENTINELONE, activity="Terminate", **base)),
        (
            launch(0, Platform.FALCON, actor__process__name="cmd.exe", **base),
            launch(0, Platform.SENTINELONE, actor__process__name="services.exe", **base),
        ),
        (
            event(
                EventClass.AUTHENTICATION, user__name="bob", status="Success", src_endpoint__ip="10.0.0.1",
                activity="Logon",
            ),
            event(
                EventClass.AUTHENTICATION, 0, Platform.SENTINEL, user__name="bob", status="Success",
                src_endpoint__ip="10.0.0.2", activity="Logon",
            ),
        ),
        (
            event(EventClass.AUTHENTICATION, user__name="bob", status="Success", activity="Logon"),
            event(EventClass.AUTHENTICATION, 0, Platform.SENTINEL, user__name="bob", status="Failure", activity="Logon"),
        ),
    ]  # fmt: skip
    for pair in pairs:
        assert sizes(merge(pair)) == [1, 1], pair


def test_the_same_things_under_other_names() -> None:
    pairs = [
        (
            event(EventClass.FILE, activity="Create", file__path="\\Device\\HarddiskVolume3\\Temp\\a.exe"),
            event(EventClass.FILE, 1, Platform.SENTINELONE, activity="Update", file__path="C:\\temp\\A.exe"),
        ),
        (
            event(EventClass.REGISTRY, activity="Set", reg__path="\\REGISTRY\\MACHINE\\Run", reg__value_name="x"),
            event(
                EventClass.REGISTRY, 1, Platform.SENTINELONE, activity="Set", reg__path="MACHINE\\Run\\x",
                reg__value_name="x",
            ),
        ),
        (
            event(EventClass.SERVICE, activity="Create", service__name="PSEXESVC"),
            event(EventClass.SERVICE, 2, Platform.SENTINEL, "Event", activity="Create", service__name="psexesvc"),
        ),
        (
            event(EventClass.NETWORK, activity="Open", dst_endpoint__ip="203.0.113.9", dst_endpoint__port=443),
            event(
                EventClass.NETWORK, 1, Platform.SENTINELONE, activity="Open", dst_endpoint__ip="203.0.113.9",
                dst_endpoint__port="443", src_endpoint__port=50_000,
            ),
        ),
        (
            event(EventClass.FINDING, finding__uid="a1", severity="High"),
            event(EventClass.FINDING, 90_000, finding__uid="a1", severity="High", finding__status="Resolved"),
        ),
    ]  # fmt: skip
    for pair in pairs:
        assert sizes(merge(pair)) == [2], pair


def test_beacons_fold_and_remote_service_connections_keep_their_times() -> None:
    def connect(seconds: float, port: int) -> Event:
        return event(
            EventClass.NETWORK, seconds, activity="Open", connection__direction="Outbound", actor__process__name="a.exe",
            dst_endpoint__ip="203.0.113.66", dst_endpoint__port=port,
        )  # fmt: skip

    (beacon,) = merge([connect(60 * number, 443) for number in range(30)])
    assert (beacon.kind, beacon.count, beacon.last - beacon.first) == ("burst", 30, timedelta(minutes=29))
    assert len(merge([connect(60 * number, 445) for number in range(5)])) == 5
    assert len(merge([connect(3_600 * number, 443) for number in range(5)])) == 5
    assert len(merge([connect(60 * number, 443) for number in range(2)])) == 2


def test_a_spray_from_one_network_is_one_burst() -> None:
    events = [
        event(
            EventClass.AUTHENTICATION, 20 * number, Platform.SENTINEL, "SigninLogs", None, activity="Logon",
            status="Failure", user__name=f"u{number % 38}", src_endpoint__ip=f"203.0.113.{140 + number % 8}",
        )
        for number in range(120)
    ]  # fmt: skip
    other = event(
        EventClass.AUTHENTICATION, 5, Platform.SENTINEL, "SigninLogs", None, activity="Logon", status="Failure",
        user__name="bob", src_endpoint__ip="192.0.2.1",
    )  # fmt: skip
    groups = merge([*events, other])
    assert sorted((group.kind, group.count) for group in groups) == [("burst", 120), ("single", 1)]


def test_a_burst_seen_by_two_sensors_counts_happenings_not_rows() -> None:
    events = [
        event(
            EventClass.AUTHENTICATION, 30 * number + skew, platform, activity="Logon", status="Failure",
            user__name="bob", src_endpoint__ip="10.0.0.9",
        )
        for number in range(6)
        for platform, skew in ((Platform.FALCON, 0), (Platform.SENTINEL, 1))
    ]  # fmt: skip
    (group,) = merge(events)
    assert (group.count, len(group.events)) == (6, 12)


def test_no_event_is_lost_and_the_order_of_input_does_not_matter() -> None:
    rng = random.Random(7)
    events = [
        launch(
            rng.randrange(40), rng.choice(list(Platform)), process__name=rng.choice(["a.exe", "b.exe"]),
            process__pid=rng.randrange(4), process__cmd_line="x",
        )
        for _ in range(200)
    ]  # fmt: skip
    groups = merge(events)
    assert sorted(item.evidence for group in groups for item in group.events) == sorted(
        item.evidence for item in events
    )
    shuffled = events.copy()
    rng.shuffle(shuffled)
    assert merge(shuffled) == groups
    assert all(group.first <= item.time <= group.last for group in groups for item in group.events if item.time)


def test_a_group_merged_again_by_itself_is_the_same_group() -> None:
    events = [
        event(EventClass.DNS, 30 * number, query__hostname="x.example", actor__process__name="a.exe")
        for number in range(9)
    ]
    (group,) = merge(events)
    assert group_of(group.events) == group


def test_fold_can_be_switched_off() -> None:
    events = [event(EventClass.DNS, 30 * number, query__hostname="x.example") for number in range(9)]
    assert len(merge(events, fold=False)) == 9


def test_a_mail_campaign_folds_by_what_it_carried_and_how_it_fared() -> None:
    def mail(number: int, action: str, file: str | None) -> list[Event]:
        sender = {"email__uid": f"m{number}", "email__from": "a@x.example", "email__to": f"u{number}@corp.example"}
        reports = [
            event(
                EventClass.EMAIL, 7 * number, Platform.SENTINEL, "EmailEvents", None, email__subject="Overdue",
                email__delivery_action=action, **sender,
            )
        ]  # fmt: skip
        if file:
            collection = "EmailAttachmentInfo"
            reports.append(
                event(EventClass.EMAIL, 7 * number, Platform.SENTINEL, collection, None, file__name=file, **sender)
            )
        return reports

    mails = [mail(number, "Delivered", "a.docm") for number in range(5)]
    mails += [mail(number, "Delivered", None) for number in range(10, 20)]
    mails += [mail(number, "Blocked", "a.docm") for number in range(30, 33)]
    groups = merge([report for reports in mails for report in reports])
    assert [(group.count, len(group.events)) for group in groups] == [(5, 10), (10, 10), (3, 6)]


def test_a_spray_from_a_host_without_an_address_is_one_burst() -> None:
    events = [
        event(
            EventClass.AUTHENTICATION, number, Platform.SENTINEL, "SecurityEvent", "DC-9", activity="Credential Validation",
            status="Failure", user__name=f"u{number}", src_endpoint__hostname="PC-9",
        )
        for number in range(6)
    ]  # fmt: skip
    (group,) = merge(events)
    assert (group.kind, group.count) == ("burst", 6)


def test_a_burst_folds_whichever_sensor_names_its_origin() -> None:
    events = []
    for number in range(6):
        facts = {"activity": "Logon", "status": "Failure", "user__name": f"u{number}"}
        events.append(event(EventClass.AUTHENTICATION, number, Platform.SENTINELONE, **facts))
        facts["src_endpoint__hostname"] = "PC-9"
        events.append(event(EventClass.AUTHENTICATION, number, Platform.SENTINEL, "SecurityEvent", **facts))
    (group,) = merge(events)
    assert (group.count, len(group.events)) == (6, 12)

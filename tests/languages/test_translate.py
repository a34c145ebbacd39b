"""Searches become checked queries; what a platform does not carry is said in a sentence."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from tracehound.knowledge.errors import UsageError
from tracehound.tools.languages import Inapplicable, Language, Platform, Query, check, raw_query, translate
from tracehound.tools.languages.cql.schema import EVENT, UNSURE, all_fields
from tracehound.tools.languages.cql.schema import events as falcon_events
from tracehound.tools.languages.fql.schema import lookup as fql_property
from tracehound.tools.languages.literals import regex_problem
from tracehound.tools.languages.query import Code
from tracehound.tools.languages.rest import PARAMETERS
from tracehound.tools.languages.s1ql.schema import lookup as s1_field
from tracehound.tools.languages.search import (
    Aggregation,
    All,
    AnyOf,
    Condition,
    Expression,
    Not,
    Operator,
    Scalar,
    Search,
    Window,
    matches,
)
from tracehound.tools.languages.views import View, all_views
from tracehound.tools.languages.vocabulary import EventClass

WINDOW = Window(start=datetime(2026, 11, 23, 9, tzinfo=UTC), end=datetime(2026, 11, 24, 9, tzinfo=UTC))
ALERT_WINDOW = "timestamp:>='2026-11-23T09:00:00Z'+timestamp:<'2026-11-24T09:00:00Z'"
MOMENT = "2026-11-23T10:00:00Z"
EDR = (Platform.FALCON, Platform.SENTINELONE)


def where(field: str, op: str, *values: Scalar) -> Condition:
    return Condition(field=field, op=Operator(op), values=values)


def both(*parts: Expression) -> All:
    return All(of=parts)


HOST = where("device.hostname", "eq", "ws-042")


def asked(event_class: EventClass, expression: Expression | None, **more: object) -> dict[str, Query | Inapplicable]:
    search = Search.model_validate({"event_class": event_class, "where": expression, "window": WINDOW, **more})
    found = translate(search, EDR)
    # Queries come in the order of their views; those that do not apply name theirs.
    views = [view.id for view in all_views() if view.event_class is event_class and view.platform in EDR]
    named = [item for item in found if isinstance(item, Query) or item.view]
    return dict(zip(views, named, strict=True))


def text_of(answer: Query | Inapplicable) -> str:
    assert isinstance(answer, Query), answer
    assert answer.check.sendable
    return answer.text


def reason_of(answer: Query | Inapplicable) -> str:
    assert isinstance(answer, Inapplicable), answer
    return answer.reason


def test_a_launch_is_asked_in_the_words_of_each_platform() -> None:
    found = asked(
        EventClass.PROCESS,
        both(HOST, where("activity", "eq", "Launch"), where("process.cmd_line", "contains", "comsvcs.dll", "MiniDump")),
    )
    assert text_of(found["falcon.process"]) == (
        "in(#event_simpleName, values=[ProcessRollup2, SyntheticProcessRollup2])"
        r" AND ComputerName=/^ws-042(\.|$)/i AND CommandLine=/(comsvcs\.dll|MiniDump)/i | tail(1000)"
    )
    assert text_of(found["sentinelone.process"]) == (
        'EventType = "Process Creation"'
        ' AND (EndpointName In Anycase ("ws-042") OR EndpointName StartsWithCIS "ws-042.")'
        ' AND TgtProcCmdLine In Contains Anycase ("comsvcs.dll", "MiniDump")'
    )
    assert reason_of(found["sentinelone.process_access"]) == "sentinelone.process_access never holds activity Launch"
    assert not [answer for answer in found.values() if isinstance(answer, Query) and answer.cannot_express]


def test_an_access_to_lsass_is_asked_only_where_it_is_recorded() -> None:
    found = asked(EventClass.PROCESS, both(where("activity", "eq", "Open"), where("process.name", "eq", "lsass.exe")))
    assert reason_of(found["falcon.process"]) == "falcon.process never holds activity Open"
    assert reason_of(found["sentinelone.process"]) == "every row of sentinelone.process has activity Launch"
    assert text_of(found["sentinelone.process_access"]) == (
        'EventType In ("Open Remote Process Handle", "Duplicate Process Handle")'
        ' AND TgtProcName In Anycase ("lsass.exe")'
    )


def test_alerts_carry_the_window_and_compare_names_by_words() -> None:
    found = asked(
        EventClass.FINDING,
        both(HOST, where("severity", "eq", "high", "Critical"), where("finding.status", "ne", "Resolved")),
    )
    alerts = found["falcon.alerts"]
    assert text_of(alerts) == (
        f"device.hostname:~'ws-042'+severity_name:['High','Critical']+!status:'closed'+{ALERT_WINDOW}"
    )
    assert isinstance(alerts, Query)
    assert [note.split(":")[0] for note in alerts.cannot_express] == ["`device.hostname eq ws-042`"]
    assert text_of(found["sentinelone.threats"]) == (
        "GET /threats?createdAt__gte=2026-11-23T09:00:00.000000Z&createdAt__lt=2026-11-24T09:00:00.000000Z"
        "&computerName__contains=ws-042&confidenceLevels=malicious&limit=1000"
    )


def test_what_fql_cannot_say_is_left_out_and_named() -> None:
    found = asked(
        EventClass.FINDING, both(where("process.cmd_line", "matches", "mimi.*"), where("severity", "eq", "Low"))
    )
    alerts = found["falcon.alerts"]
    assert text_of(alerts) == f"severity_name:'Low'+{ALERT_WINDOW}"
    assert isinstance(alerts, Query)
    assert alerts.cannot_express == (
        "`process.cmd_line matches mimi.*`: FQL compares text with case here; the rows are narrowed afterwards",
    )


def test_under_a_negation_what_cannot_be_said_is_left_out_too() -> None:
    unspeakable = Not(of=both(where("process.cmd_line", "contains", "x"), where("severity", "eq", "Low")))
    found = asked(EventClass.FINDING, unspeakable)
    # Excluding all Low alerts would lose those whose command line lacks the text.
    assert text_of(found["falcon.alerts"]) == ALERT_WINDOW
    mixed = Not(of=AnyOf(of=(where("process.cmd_line", "contains", "x"), where("severity", "eq", "Low"))))
    assert text_of(asked(EventClass.FINDING, mixed)["falcon.alerts"]) == f"!severity_name:'Low'+{ALERT_WINDOW}"


def test_hosts_never_get_a_wildcard_on_both_sides() -> None:
    for op in ("eq", "contains", "startswith", "endswith"):
        hosts = asked(EventClass.DEVICE, where("device.hostname", op, "ws-042"))["falcon.hosts"]
        assert "'*ws" not in text_of(hosts)
    assert text_of(asked(EventClass.DEVICE, HOST)["falcon.hosts"]) == (
        "(hostname:'ws-042',hostname:'WS-042',hostname:'ws-042.*',hostname:'WS-042.*')"
        "+first_seen:<'2026-11-24T09:00:00Z'+last_seen:>='2026-11-23T09:00:00Z'"
    )


def test_vulnerabilities_are_those_that_stood_in_the_window() -> None:
    expression = both(
        where("vulnerability.cve", "eq", "cve-2023-23397"),
        where("vulnerability.status", "eq", "Open"),
        where("vulnerability.exploit_status", "ge", 60),
        where("vulnerability.kev", "eq", True),
    )
    assert text_of(asked(EventClass.VULNERABILITY, expression)["falcon.vulnerabilities"]) == (
        "cve.id:['CVE-2023-23397']+status:['open','reopen']+cve.exploit_status:['60','90']+cve.is_cisa_kev:true"
        "+created_timestamp:<'2026-11-24T09:00:00Z'"
    )


def test_direction_chooses_the_event() -> None:
    expression = both(HOST, where("connection.direction", "eq", "Inbound"), where("dst_endpoint.port", "eq", 445))
    found = asked(EventClass.NETWORK, expression)
    assert reason_of(found["falcon.network_outbound"]) == (
        "every row of falcon.network_outbound has connection.direction Outbound"
    )
    assert text_of(found["falcon.network_inbound"]) == (
        r"#event_simpleName=NetworkReceiveAcceptIP4 AND ComputerName=/^ws-042(\.|$)/i AND LocalPort=445 | tail(1000)"
    )
    assert reason_of(found["sentinelone.url"]) == "sentinelone.url carries no dst_endpoint.port"


def test_blocks_of_addresses_are_asked_exactly_or_widened() -> None:
    found = asked(EventClass.NETWORK, where("dst_endpoint.ip", "cidr", "10.20.0.0/22"))
    assert text_of(found["sentinelone.network"]) == (
        'EventType In ("IP Connect", "IP Listen") AND DstIP RegExp "(?i)^10\\.20\\.(0|1|2|3)\\."'
    )
    alerts = asked(EventClass.FINDING, where("device.ip", "cidr", "10.20.0.0/22"))["falcon.alerts"]
    assert text_of(alerts) == f"device.local_ip:'10.20.*'+{ALERT_WINDOW}"
    hosts = asked(EventClass.DEVICE, where("device.ip", "cidr", "10.20.4.0/24"))["falcon.hosts"]
    assert text_of(hosts).startswith("local_ip.raw:*'10.20.4.*'+")


def test_accounts_match_with_and_without_their_domain() -> None:
    expression = both(where("user.name", "eq", "svc-backup"), where("status", "eq", "Failure"))
    found = asked(EventClass.AUTHENTICATION, expression)
    assert text_of(found["falcon.authentication"]) == (
        r"#event_simpleName=UserLogonFailed2 AND UserName=/(^|\\)svc-backup$|^svc-backup@/i | tail(1000)"
    )
    assert text_of(found["sentinelone.authentication"]) == (
        'EventType In ("Login", "Logout") AND (LoginsUserName In Anycase ("svc-backup")'
        ' OR LoginsUserName EndsWithCIS "\\svc-backup" OR LoginsUserName StartsWithCIS "svc-backup@")'
        " AND LoginIsSuccessful Is False"
    )


def test_activity_and_status_together_choose_the_event() -> None:
    expression = both(where("activity", "eq", "Logon"), where("status", "eq", "Success"))
    assert text_of(asked(EventClass.AUTHENTICATION, expression)["falcon.authentication"]).startswith(
        "#event_simpleName=UserLogon |"
    )
    nothing = both(where("activity", "eq", "Logoff"), where("status", "eq", "Failure"))
    assert reason_of(asked(EventClass.AUTHENTICATION, nothing)["falcon.authentication"]) == (
        "falcon.authentication never holds status Failure"
    )


def test_counting_happens_where_the_language_counts() -> None:
    more = {"aggregation": Aggregation(by=("device.hostname",), distinct="user.name", minimum=3), "limit": 50}
    found = asked(EventClass.AUTHENTICATION, where("logon_type", "eq", "Network"), **more)
    assert text_of(found["falcon.authentication"]) == (
        "in(#event_simpleName, values=[UserLogon, UserLogonFailed2, UserLogoff]) AND LogonType=3"
        " | groupBy([ComputerName], function=[count(as=_count), count(UserName, distinct=true, as=_distinct)], limit=50)"
        " | _count>=3 | sort([_count], order=desc, limit=50)"
    )
    s1 = found["sentinelone.authentication"]
    assert isinstance(s1, Query)
    assert s1.cannot_express == ("S1QL 1.0 lists and does not count; the events are counted afterwards",)


def test_newest_first_is_a_sort_and_the_cap_is_always_there() -> None:
    newest = asked(EventClass.DNS, HOST, newest_first=True, limit=20)["falcon.dns"]
    assert text_of(newest).endswith(" | sort([@timestamp], order=desc, limit=20)")


def test_a_drive_letter_also_means_a_volume() -> None:
    found = asked(EventClass.PROCESS, where("process.path", "startswith", "C:\\Windows\\Temp\\"))
    assert r"ImageFileName=/^(C:|\\Device\\HarddiskVolume\d+)\\Windows\\Temp\\/i" in text_of(found["falcon.process"])
    assert r'TgtProcImagePath RegExp "(?i)^C:\\Windows\\Temp\x5c"' in text_of(found["sentinelone.process"])


def test_long_lists_are_split_and_too_many_alternatives_become_one_pattern() -> None:
    hashes = tuple(f"{number:064x}" for number in range(250))
    text = text_of(asked(EventClass.PROCESS, where("process.hash.sha256", "eq", *hashes))["sentinelone.process"])
    assert text.count("TgtProcImageSha256 In Anycase (") == 3
    users = AnyOf(of=tuple(where("user.name", "eq", f"user{number}") for number in range(8)))
    text = text_of(asked(EventClass.AUTHENTICATION, users)["sentinelone.authentication"])
    assert text.count(" OR ") == 7
    assert text.count("RegExp") == 8
    many = AnyOf(of=tuple(where("user.name", "eq", f"user{number}") for number in range(40)))
    assert "39 ORs" in reason_of(asked(EventClass.AUTHENTICATION, many)["sentinelone.authentication"])


def test_a_filter_of_more_than_twenty_properties_is_widened() -> None:
    names = both(where("severity", "eq", "High"), where("process.name", "eq", *(f"tool{n}.exe" for n in range(30))))
    alerts = asked(EventClass.FINDING, names)["falcon.alerts"]
    assert text_of(alerts) == f"severity_name:'High'+{ALERT_WINDOW}"
    assert isinstance(alerts, Query)
    assert "1 of the conditions are left to the rows" in alerts.cannot_express[-1]


def test_values_that_cannot_be_searched_for_are_a_reason_and_not_a_crash() -> None:
    found = asked(EventClass.PROCESS, where("process.cmd_line", "matches", "("))
    assert "not a regular expression" in reason_of(found["falcon.process"])
    found = asked(EventClass.NETWORK, where("dst_endpoint.ip", "cidr", "10.20.0.0/99"))
    assert "is not a block of addresses" in reason_of(found["sentinelone.network"])
    found = asked(EventClass.FINDING, where("device.ip", "cidr", "10.20.0.0/99"))
    assert "write it as 10.20.0.0/16" in reason_of(found["falcon.alerts"])
    for op in ("eq", "gt"):
        found = asked(EventClass.NETWORK, where("dst_endpoint.port", op, 10**400))
        assert "never holds" in reason_of(found["sentinelone.network"])
    assert not matches(where("dst_endpoint.port", "gt", 1), {"dst_endpoint.port": 10**400})
    found = asked(EventClass.PROCESS, where("metadata.event_code", "gt", 4688))
    assert "never holds" in reason_of(found["falcon.process"])


def test_an_empty_value_is_left_to_the_rows_where_the_list_takes_none() -> None:
    for field in ("metadata.uid", "device.hostname"):
        threats = asked(EventClass.FINDING, where(field, "eq", ""))["sentinelone.threats"]
        assert "__contains" not in text_of(threats)
        assert "ids" not in text_of(threats)
        assert isinstance(threats, Query)
        assert "an empty value is taken for none" in threats.cannot_express[0]


def test_numbers_are_written_with_all_their_digits() -> None:
    found = asked(EventClass.NETWORK, where("actor.process.pid", "eq", 2**60 + 1, str(2**60 + 3), "4e2"))
    assert text_of(found["sentinelone.network"]).endswith(
        "SrcProcPID In (1152921504606846977, 1152921504606846979, 400)"
    )
    scores = asked(EventClass.VULNERABILITY, where("vulnerability.score", "gt", 1e-7))["falcon.vulnerabilities"]
    assert "score:>0.0000001+" in text_of(scores)


def test_a_pattern_for_a_file_name_is_asked_of_its_path() -> None:
    found = asked(
        EventClass.FILE, both(where("file.name", "matches", r"(?i)^akira.*\.txt$"), where("activity", "eq", "Create"))
    )
    s1 = found["sentinelone.file"]
    assert text_of(s1) == (r'EventType = "File Creation" AND TgtFilePath RegExp "(?i)(?:^|[\\\x2f])akira.*\.txt$"')
    assert isinstance(s1, Query)
    assert s1.cannot_express[0].endswith("asked of the whole path; the rows are narrowed afterwards")


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (r"C:\\Program Files\\1", None),
        (r"\x{2028}\pL\p{Greek}[a-z\]]+(?i:x)\z", None),
        (r"a(?!b)", "warning"),
        (r"(a)\1", "warning"),
        (r"\create", "warning"),
        (r"(a", "error"),
        (r"[a", "error"),
        (r"*a", "error"),
    ],
)
def test_patterns_are_judged_by_what_re2_takes(pattern: str, problem: str | None) -> None:
    found = regex_problem(pattern)
    assert (found[0] if found else None) == problem


def test_a_platform_without_the_class_says_so() -> None:
    search = Search(event_class=EventClass.EMAIL, window=WINDOW)
    assert [item.reason for item in translate(search, EDR) if isinstance(item, Inapplicable)] == [
        "falcon carries no email_activity",
        "sentinelone carries no email_activity",
    ]


def test_a_raw_alert_filter_gets_the_window_unless_it_names_a_time() -> None:
    plain = raw_query(Platform.FALCON, Language.FQL, "alerts", "severity:>60,status:'new'", WINDOW, 100)
    assert plain.text == f"(severity:>60,status:'new')+{ALERT_WINDOW}"
    timed = raw_query(Platform.FALCON, Language.FQL, "alerts", "created_timestamp:>'now-1d'", WINDOW, 100)
    assert timed.text == "created_timestamp:>'now-1d'"
    broken = raw_query(Platform.FALCON, Language.FQL, "alerts", "severity=60", WINDOW, 100)
    assert not broken.check.sendable


def test_a_platform_takes_only_its_own_languages() -> None:
    with pytest.raises(UsageError, match="sentinelone does not take FQL; it takes S1QL and REST"):
        raw_query(Platform.SENTINELONE, Language.FQL, "alerts", "a:'1'", WINDOW, 1)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("GET /threats?createdAt__gte=2026-11-23T09:00:00.000000Z&limit=10", None),
        ("POST /threats?limit=10", "not_read_only"),
        ("GET /users", "unknown_collection"),
        ("GET /threats?createdBy=x", "unknown_column"),
        ("GET /threats?analystVerdicts=maybe", "bad_value"),
        ("GET /threats?createdAt__gte=yesterday", "bad_value"),
        ("GET /threats?limit=5000", "bad_value"),
        ("GET /threats?limit=1&limit=2", "bad_value"),
        ("GET /threats?computerName__contains=a b", "syntax"),
        ("threats", "syntax"),
    ],
)
def test_list_calls_are_checked(text: str, code: str | None) -> None:
    verdict = check(Language.REST, text)
    assert [item.code for item in verdict.diagnostics] == ([code] if code else [])
    assert verdict.sendable is (code is None)


def edr_views() -> list[View]:
    return [view for view in all_views() if view.platform in EDR]


@pytest.mark.parametrize("view", edr_views(), ids=lambda view: view.id)
def test_every_vendor_name_of_a_view_is_in_the_language_s_own_table(view: View) -> None:
    names = {a.field for a in view.attributes.values() if a.filterable} | set(view.select) | set(view.activity)
    match view.language:
        case Language.FQL:
            assert {name for name in names if fql_property(view.collection, name) is None} == set()
        case Language.S1QL:
            assert {name for name in names if (found := s1_field(name)) is None or found.use} == set()
            for field, values in view.select.items():
                known = s1_field(field)
                assert known is not None
                assert set(values) <= set(known.values)
        case Language.CQL:
            assert names <= all_fields()
            assert set(view.select[EVENT]) <= set(falcon_events())
        case _:
            bases = {name.split("__")[0] for name in PARAMETERS[view.collection]}
            assert names <= bases


@pytest.mark.parametrize("view", edr_views(), ids=lambda view: view.id)
def test_listed_values_are_values_of_the_field(view: View) -> None:
    for attribute in view.attributes.values():
        if view.language is Language.FQL and attribute.filterable and attribute.values:
            known = fql_property(view.collection, attribute.field)
            assert known is not None
            assert not known.values or set(attribute.values) <= set(known.values)
        if view.language is Language.S1QL and attribute.values:
            found = s1_field(attribute.field)
            assert found is not None
            assert not found.values or set(attribute.values) <= set(found.values)


def test_unconfirmed_names_in_views_stay_few() -> None:
    used = {a.field for view in edr_views() if view.language is Language.CQL for a in view.attributes.values()}
    assert used & UNSURE == {
        "LocalIP",
        "OriginalFilename",
        "SourceFileName",
        "ClientComputerName",
        "AuthenticationPackage",
    }


def test_every_attribute_of_every_view_can_be_asked_for() -> None:
    for view in edr_views():
        for name, attribute in view.attributes.items():
            typed: dict[str, Scalar] = {"int": 5, "float": 5.5, "datetime": MOMENT, "epoch_ms": MOMENT}
            value = typed.get(attribute.type, "x")
            for op in (Operator.EQ, Operator.CONTAINS, Operator.GE, Operator.EXISTS, Operator.NE):
                values = () if op is Operator.EXISTS else (value,)
                expression = Condition(field=name, op=op, values=values)
                search = Search(event_class=view.event_class, where=expression, window=WINDOW)
                assert translate(search, [view.platform]), (view.id, name)


def test_codes_are_those_of_the_interface() -> None:
    assert {"syntax", "silent_zero", "ambiguous", "unbounded"} <= set(get_args(Code))

r"""Entities in a question, found by code: hosts, users, addresses, names, hashes, files, ids.

The model never has to copy a target from text: the entity slots of its tools are enums of what is found here. Each
place in the text belongs to one entity. Defanged forms (`hxxp://evil[.]example`) are read as what they mean.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any, Literal

from . import entity_patterns as patterns
from . import entity_words as words

Kind = Literal[
    "alert", "url", "email", "path", "user", "hash", "cve", "technique", "event_id", "ip", "network", "file", "process",
    "domain", "host", "service", "app", "text",
]  # fmt: skip
_MAX_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Mention:
    """One entity at one place of the refanged text."""

    kind: Kind
    value: str
    start: int
    end: int
    known: bool = False
    """It names a host of the inventory or an account that was given as known."""


@dataclass(frozen=True)
class Entities:
    """What a text mentions, in order of appearance; `text` is the text with defanged forms restored."""

    text: str
    mentions: tuple[Mention, ...] = field(default=())

    def values(self, kind: str) -> tuple[str, ...]:
        """Distinct values of a kind, first mention first. `file` also holds the names at the end of paths."""
        found = [mention.value for mention in self.mentions if mention.kind == kind]
        if kind == "file":
            found = [_name(mention.value) for mention in self.mentions if mention.kind in ("file", "path", "process")]
            found = [name for name in found if "." in name]
        elif kind == "process":
            names = (_name(mention.value) for mention in self.mentions if mention.kind in ("path", "process"))
            found = [name for name in names if name.lower().endswith(words.PROGRAM_SUFFIXES)]
        return tuple(dict.fromkeys(found))

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host names, spelt as the inventory spells them where it knows them."""
        return self.values("host")

    @property
    def unknown_hosts(self) -> tuple[str, ...]:
        """Host names that the inventory does not know."""
        return tuple(dict.fromkeys(m.value for m in self.mentions if m.kind == "host" and not m.known))

    @property
    def users(self) -> tuple[str, ...]:
        r"""Account names; a domain is kept (`CORP\anna`, `anna@corp.example`)."""
        return self.values("user")

    @property
    def ips(self) -> tuple[str, ...]:
        """Single addresses, IPv4 and IPv6."""
        return self.values("ip")

    @property
    def domains(self) -> tuple[str, ...]:
        """Domain names in lower case, those inside URLs and mail addresses left out."""
        return self.values("domain")

    @property
    def urls(self) -> tuple[str, ...]:
        """URLs with a scheme."""
        return self.values("url")

    @property
    def hashes(self) -> tuple[str, ...]:
        """MD5, SHA-1, SHA-256 and SHA-512 values in lower case."""
        return self.values("hash")

    @property
    def emails(self) -> tuple[str, ...]:
        """Mail addresses."""
        return self.values("email")

    @property
    def files(self) -> tuple[str, ...]:
        """File names, those at the end of paths included."""
        return self.values("file")

    @property
    def processes(self) -> tuple[str, ...]:
        """File names of programs."""
        return self.values("process")

    @property
    def services(self) -> tuple[str, ...]:
        """Service names."""
        return self.values("service")

    @property
    def cves(self) -> tuple[str, ...]:
        """CVE ids."""
        return self.values("cve")

    @property
    def alert_ids(self) -> tuple[str, ...]:
        """Ids of alerts and threats, in the forms that the four platforms use."""
        return self.values("alert")

    @property
    def techniques(self) -> tuple[str, ...]:
        """ATT&CK ids."""
        return self.values("technique")

    @property
    def event_ids(self) -> tuple[int, ...]:
        """Windows event ids."""
        return tuple(int(value) for value in self.values("event_id"))

    def __bool__(self) -> bool:
        return bool(self.mentions)


def find_entities(text: str, known_hosts: Iterable[str] = (), known_users: Iterable[str] = ()) -> Entities:
    """Find the entities of a text.

    Args:
        text: the question; what lies beyond 20,000 characters is not read.
        known_hosts: names of the inventory, short or fully qualified; mentions take their spelling.
        known_users: account names, with or without a domain.
    """
    text = refang(text[:_MAX_CHARACTERS])
    scanner = _Scanner(text, _Known.of(known_hosts, known_users))
    for rule in _RULES:
        rule(scanner)
    return Entities(text, tuple(sorted(scanner.mentions, key=lambda mention: mention.start)))


def refang(text: str) -> str:
    """Restore defanged indicators: `hxxps`, `[.]`, `(dot)`, `[at]`, `[:]`, `[://]`."""
    text = re.sub(r"\bh[xX*]{2}p(s?)(?=\s?[:\[({])", r"http\1", text)
    text = re.sub(r"\bfxp(?=:)", "ftp", text)
    text = re.sub(r"(?<=\w)\s?[\[({]\s?(?:\.|dot)\s?[\])}]\s?(?=\w)", ".", text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=\w)\\\.(?=\w)", ".", text)
    text = re.sub(r"(?<=\w)\s?[\[({]\s?(?:@|at)\s?[\])}]\s?(?=\w)", "@", text, flags=re.IGNORECASE)
    return re.sub(r"(?<=\w)[\[({](:(?://)?)[\])}]", r"\1", text)


@dataclass(frozen=True)
class _Known:
    hosts: dict[str, str]
    """Folded name, fully qualified name and name without punctuation to the inventory's spelling."""
    users: dict[str, str]
    domains: frozenset[str]
    """The organisation's own domains, as its names show them."""

    @classmethod
    def of(cls, hosts: Iterable[str], users: Iterable[str]) -> "_Known":
        by_host: dict[str, str] = {}
        by_user: dict[str, str] = {}
        domains: set[str] = set()
        for host in hosts:
            short = host.split(".")[0]
            for name in (host, short):
                by_host.setdefault(name.casefold(), short)
            if any(character.isdigit() for character in short):
                by_host.setdefault(re.sub(r"[-_]", "", short).casefold(), short)
            if "." in host:
                domains.add(host.split(".", 1)[1].casefold())
        for user in users:
            by_user.setdefault(user.casefold(), user)
            if "@" in user:
                domains.add(user.rsplit("@", 1)[1].casefold())
                by_user.setdefault(user.split("@")[0].casefold(), user.split("@")[0])
            if "\\" in user:
                by_user.setdefault(user.rsplit("\\", 1)[1].casefold(), user.rsplit("\\", 1)[1])
        return cls(by_host, by_user, frozenset(domains))


class _Scanner:
    """The text, and which places of it are taken. Rules run from the most to the least specific."""

    def __init__(self, text: str, known: _Known) -> None:
        self.text, self.known = text, known
        self.mentions: list[Mention] = []
        self._free = text

    def claim(self, kind: Kind, value: str, start: int, end: int, *, known: bool = False) -> None:
        self.mentions.append(Mention(kind, value, start, end, known))
        self._free = self._free[:start] + "\0" * (end - start) + self._free[end:]

    def matches(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Matches in the text that is still free."""
        at = 0
        while match := pattern.search(self._free, at):
            at = max(match.end(), at + 1)
            yield match

    def names(self, match: re.Match[str], kind: Kind, group: int | str = 0) -> None:
        self.claim(kind, match[group], *match.span(group))


def _alerts(scan: _Scanner) -> None:
    for match in scan.matches(patterns.ALERTS):
        scan.names(match, "alert")


def _urls(scan: _Scanner) -> None:
    for match in scan.matches(patterns.URL):
        value = match[0].rstrip(".,;:!?*")
        while value.endswith((")", "]", "}")) and value.count(value[-1]) > value.count(
            {")": "(", "]": "[", "}": "{"}[value[-1]]
        ):
            value = value[:-1].rstrip(".,;")
        scan.claim("url", value, match.start(), match.start() + len(value))


def _emails(scan: _Scanner) -> None:
    for match in scan.matches(patterns.EMAIL):
        local, domain = match[0].rsplit("@", 1)
        own = domain.casefold() in scan.known.domains or local.casefold() in scan.known.users
        if own:
            scan.mentions.append(Mention("user", match[0], *match.span(), known=local.casefold() in scan.known.users))
        scan.names(match, "email")


def _paths(scan: _Scanner) -> None:
    for match in scan.matches(patterns.QUOTED_PATH):
        scan.names(match, "path", "path")
    for pattern in (patterns.PATH, patterns.UNIX_PATH):
        for match in scan.matches(pattern):
            value = match[0].rstrip(".)?!:")
            server = re.match(r"\\\\([\w.-]+)\\", value)
            if server:
                name = server[1].split(".")[0].casefold()
                found = scan.known.hosts.get(name, name.upper())
                scan.mentions.append(Mention("host", found, *match.span(), known=name in scan.known.hosts))
            scan.claim("path", value, match.start(), match.start() + len(value))


def _domain_users(scan: _Scanner) -> None:
    for match in scan.matches(patterns.DOMAIN_USER):
        if match["domain"].upper() not in words.NO_DOMAINS:
            known = match["user"].casefold() in scan.known.users
            value = match[0].rstrip(".")
            scan.claim("user", value, match.start(), match.start() + len(value), known=known)


def _ids(scan: _Scanner) -> None:
    for match in scan.matches(patterns.HASH):
        if re.search(r"[0-9]", match[0]):
            scan.claim("hash", match[0].lower(), *match.span())
    for match in scan.matches(patterns.CVE):
        scan.claim("cve", f"CVE-{match[1]}-{match[2]}", *match.span())
    for match in scan.matches(patterns.TECHNIQUE):
        scan.claim("technique", match[0].upper(), *match.span())
    for match in scan.matches(patterns.EVENT_CUE):
        for inner in re.finditer(r"\d+", match[1]):
            scan.claim("event_id", inner[0], match.start(1) + inner.start(), match.start(1) + inner.end())
    for match in scan.matches(patterns.BARE_EVENT):
        if int(match[0]) in words.EVENT_IDS:
            scan.names(match, "event_id")


def _addresses(scan: _Scanner) -> None:
    for match in scan.matches(patterns.IPV4):
        _address(scan, match)
    for match in scan.matches(patterns.IPV6):
        if match[1].count(":") >= 2 and not re.fullmatch(r"\d{1,2}(?::\d{2}){1,2}", match[1]):
            _address(scan, match)


def _address(scan: _Scanner, match: re.Match[str]) -> None:
    try:
        if match[2]:
            scan.claim("network", str(ip_network(match[1] + match[2], strict=False)), *match.span())
        else:
            scan.claim("ip", str(ip_address(match[1])), *match.span())
    except ValueError:
        return


def _known_names(scan: _Scanner) -> None:
    """Names of the inventory, also in lower case, fully qualified and without their hyphen."""
    for match in scan.matches(patterns.TOKEN):
        name = match[0].removesuffix("'s").casefold()
        short = name.split(".")[0]
        if name in scan.known.users:
            scan.claim("user", scan.known.users[name], *match.span(), known=True)
        elif name in scan.known.hosts:
            scan.claim("host", scan.known.hosts[name], *match.span(), known=True)
        elif short in scan.known.hosts and "." in name and _is_domain(name):
            scan.claim("host", scan.known.hosts[short], *match.span(), known=True)


def _services(scan: _Scanner) -> None:
    for match in scan.matches(patterns.SERVICE):
        group = next(name for name, value in match.groupdict().items() if value)
        if match[group].lower() not in words.NO_SERVICES:
            value = match[group].rstrip(".")
            scan.claim("service", value, match.start(group), match.start(group) + len(value))


def _files(scan: _Scanner) -> None:
    for match in scan.matches(patterns.QUOTED_FILE):
        kind: Kind = "process" if match["file"].lower().endswith(words.PROGRAM_SUFFIXES) else "file"
        scan.names(match, kind, "file")
    for match in scan.matches(patterns.FILE):
        name = match[0]
        if name.lower() in words.NO_FILES:
            continue
        scan.names(match, "process" if name.lower().endswith(words.PROGRAM_SUFFIXES) else "file")


def _domains(scan: _Scanner) -> None:
    for match in scan.matches(patterns.DOMAIN):
        name = match[0].casefold()
        if not _is_domain(name) or name in words.NO_FILES:
            continue
        parent = name.split(".", 1)[1]
        if parent in scan.known.domains:
            scan.claim("host", match[0].split(".")[0].upper(), *match.span())
        elif not (name.count(".") == 1 and _looks_like_a_person(name)):
            scan.claim("domain", name, *match.span())


def _people(scan: _Scanner) -> None:
    for match in scan.matches(patterns.SERVICE_ACCOUNT):
        value = match[0].rstrip(".-")
        scan.claim("user", value, match.start(), match.start() + len(value))
    for match in scan.matches(patterns.KEY_OWNER):
        scan.claim("user", match["name"], *match.span("name"))
    for match in scan.matches(patterns.FIRST_LAST):
        if _looks_like_a_person(match[0].casefold()):
            scan.names(match, "user")


def _hosts(scan: _Scanner) -> None:
    for match in scan.matches(patterns.HOST_DASHED):
        if match[0].split("-")[0].casefold() not in words.NO_HOST_PREFIXES:
            scan.claim("host", match[0].upper(), *match.span())
    for match in scan.matches(patterns.HOST_SOLID):
        if re.sub(r"\d+$", "", match[0]).casefold() not in words.NO_HOST_PREFIXES:
            scan.names(match, "host")
    for match in scan.matches(patterns.HOST_CUE):
        name, folded = match["name"], match["name"].casefold()
        plain = name.isalpha() and not (name.isupper() and len(name) > 3)
        if not plain and folded not in words.NO_HOSTS and folded.split("-")[0] not in words.NO_HOST_PREFIXES:
            scan.claim("host", name.upper(), *match.span("name"))
    for match in scan.matches(patterns.HOST_CAPITALS):
        if match["name"].casefold() not in words.NO_HOSTS:
            scan.names(match, "host", "name")


def _named_users(scan: _Scanner) -> None:
    for match in scan.matches(patterns.USER_CUE):
        name = match["name"].rstrip(".")
        plain = name.isalpha() and not match["quote"]
        if plain and (name.casefold() in words.NO_USERS or re.search(r"(?:ed|ing|ly)$", name)):
            continue
        scan.claim("user", name, match.start("name"), match.start("name") + len(name))


def _apps(scan: _Scanner) -> None:
    for match in scan.matches(patterns.APP):
        group = "quoted" if match["quoted"] else "bare"
        if group == "quoted" or match["bare"].casefold() not in words.NO_APPS:
            scan.names(match, "app", group)


def _texts(scan: _Scanner) -> None:
    for match in scan.matches(patterns.QUOTED):
        if re.search(r"\w", match["text"]):
            scan.names(match, "text", "text")


_RULES: tuple[Callable[[_Scanner], None], ...] = (
    _alerts, _urls, _emails, _paths, _domain_users, _ids, _addresses, _services, _known_names, _files, _domains, _people,
    _hosts, _named_users, _apps, _texts,
)  # fmt: skip


def _name(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]


def _looks_like_a_person(name: str) -> bool:
    first, last = name.split(".")
    if last in words.FILE_SUFFIXES or name in words.NO_PEOPLE:
        return False
    if len(first) == 1:
        return len(last) > 2 and last not in words.RESERVED_DOMAINS
    return len(first) > 1 and len(last) > 2 and last not in words.RESERVED_DOMAINS and not _suffix(name)


def _is_domain(name: str) -> bool:
    last = name.rsplit(".", 1)[-1]
    if last in words.CODE_SUFFIXES or name.endswith(".arpa"):
        return False
    return last in words.RESERVED_DOMAINS or bool(_suffix(name))


def _suffix(name: str) -> str:
    """The public suffix of a name, empty when its last label is no top-level domain."""
    return str(_suffixes()(name).suffix)


@cache
def _suffixes() -> Any:
    import tldextract

    # The list inside the package: nothing is fetched and nothing is cached on disk.
    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=False)

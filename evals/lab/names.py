"""Renaming a world: every canonical name to another one, the same everywhere, drawn from the seed."""

import random
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .identity import guid

_GIVEN = "abcdefghijklmnoprstvw"
_FAMILY = (
    "arslan", "berger", "conti", "drexler", "eriksen", "faber", "garcia", "holm", "ibrahim", "jokinen", "kovacs",
    "lindner", "marino", "nakano", "olsen", "petrov", "quast", "rossi", "sandberg", "tanaka", "urban", "vasquez",
    "winter", "yilmaz", "zeller", "brandao", "castillo", "dubois", "ekström", "falk", "grant", "hoffmann",
)  # fmt: skip
_COMPANIES = ("OSPREY", "HARRIER", "MERLIN", "GOSHAWK", "PLOVER", "CURLEW", "TERNSEA", "AVOCET", "LAPWING", "REDSTART")
DOMAIN = "kestrel.example"
"""The company's DNS domain in canonical names; every other seed has another."""

_TRADES = ("cargo", "lines", "haulage", "transport", "parcel", "marine")
_WORKSTATIONS, _LAPTOPS = ("PC", "DESK", "WKS", "CLI", "HAM-W"), ("NB", "LAP", "MOB", "NOTE")
_SERVERS = {
    "FS": ("FILE", "NAS", "SHARE"), "SRV-BK": ("BKP", "VAULT", "ARCH"), "SRV-APP": ("APP", "ERP", "SVC"),
    "SRV-SQL": ("DB", "SQL", "ORA"), "MX": ("MAIL", "EXCH", "SMTP"), "LX-WEB": ("WEB", "NGX", "WWW"),
    "DC": ("ADC", "DOM", "KDC"), "ADM": ("PAW", "ADMIN", "MGMT"), "BLD": ("CI", "BUILD", "MAKE"),
}  # fmt: skip
_SERVICES = {
    "svc-backup": ("sa-vault", "srv.bkp", "svc-archive"), "svc-idm": ("sa-sync", "srv.iam", "svc-idsync"),
    "svc-build": ("sa-ci", "srv.make", "svc-pipeline"), "ci-deploy": ("cd-release", "iac-runner", "ship-bot"),
}  # fmt: skip
_DOCUMENTS = ("Remittance", "Statement", "CreditNote", "Shipment", "Quote", "Reminder")
_AFTER_THE_COMPANY = ("kestrel-manifests",)
_GUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_EXFILTRATORS = ("rclone.exe",)
"""The tool keeps its name: renaming it would make another story (masquerading)."""


class Names:
    """Canonical to actual names of one seed; seed 0 is the canonical world itself."""

    def __init__(self, world: Mapping[str, Any], seed: int) -> None:
        self.seed = seed
        self._draw = random.Random(f"names-{seed}")
        self._world = world
        self.mapping: dict[str, str] = {}
        self._known: dict[str, str] = {}
        if seed:
            self._rename()
        else:
            self.mapping = {name: name for name in self._canonical()}

    def _hosts(self) -> list[str]:
        world = self._world
        found = [f"WS-{number:03d}" for number in range(1, world["workstations"] + 1)]
        found += [f"LT-{number:02d}" for number in range(1, world["laptops"] + 1)]
        return [*found, *world["servers"], *world["controllers"], *world["special"]]

    def _canonical(self) -> list[str]:
        world = self._world
        external = [
            ip for value in world["external"].values() for ip in (value if isinstance(value, list) else [value])
        ]
        campaign = world["campaign"]
        return [
            *self._hosts(), *world["people"], *world["services"], *world["cloud_users"], *external, *world["files"],
            world["company"]["netbios"], world["company"]["domain"], campaign["domain"], campaign["drop"],
            world["app"]["name"], world["change"], world["scanner"],
        ]  # fmt: skip

    def _rename(self) -> None:
        draw, world, mapping = self._draw, self._world, self.mapping
        company = draw.choice(_COMPANIES)
        domain = f"{company.lower()}-{draw.choice(_TRADES)}.example"
        mapping["KESTREL"], mapping[DOMAIN] = company, domain
        mapping["kestrel"], mapping["Kestrel"] = company.lower(), company.capitalize()
        self._rename_hosts()
        taken = draw.sample(_FAMILY, len(world["people"]))
        for canonical, family in zip(world["people"], taken, strict=True):
            mapping[canonical] = f"{draw.choice(_GIVEN)}.{family.replace('ö', 'oe')}"
        for name, choices in _SERVICES.items():
            mapping[name] = draw.choice(choices)
        number = draw.randint(10000, 99999)
        mapping["Invoice_88213.docm"] = f"{draw.choice(_DOCUMENTS)}_{number}.docm"
        mapping["88213"] = str(number)
        mapping["ls.dmp"] = draw.choice(("tmp7.dmp", "out.dmp", "s32.dmp", "perf.dmp"))
        mapping["fin.7z"] = draw.choice(("q3.7z", "arc.7z", "acc.7z", "ledger.7z"))
        mapping["rclone.exe"] = draw.choice(_EXFILTRATORS)
        mapping["kestre1-freight.example"] = f"{company.lower()[:-1]}1-{draw.choice(_TRADES)}.example"
        mapping["archive@collect.example"] = (
            f"{draw.choice(('store', 'keep', 'inbox'))}@{draw.choice(('gather', 'bundle'))}.example"
        )
        mapping["Calendar Sync Pro"] = draw.choice(
            ("Mail Merge Plus", "Meeting Notes AI", "Inbox Cleaner Pro", "PDF Signer Go")
        )
        mapping["CHG-4471"] = f"CHG-{draw.randint(1000, 9999)}"
        self._rename_addresses()

    def _rename_hosts(self) -> None:
        draw, world, mapping = self._draw, self._world, self.mapping
        prefix, laptop = draw.choice(_WORKSTATIONS), draw.choice(_LAPTOPS)
        numbers = draw.sample(range(101, 999), world["workstations"])
        for index, number in enumerate(numbers, 1):
            mapping[f"WS-{index:03d}"] = f"{prefix}-{number}"
        for index, number in enumerate(draw.sample(range(11, 99), world["laptops"]), 1):
            mapping[f"LT-{index:02d}"] = f"{laptop}-{number}"
        chosen = {canonical: draw.choice(choices) for canonical, choices in _SERVERS.items()}
        base = draw.randint(1, 5)
        for name in [*world["servers"], *world["controllers"], *world["special"]]:
            stem, _, number = name.rpartition("-")
            mapping[name] = f"{chosen[stem]}-{int(number) + base * 10:02d}"

    def _rename_addresses(self) -> None:
        draw, world, mapping = self._draw, self._world, self.mapping
        self.subnet = draw.randint(30, 250)
        pools = {"203.0.113.": 0, "198.51.100.": 0, "192.0.2.": 0}
        external = [
            ip for value in world["external"].values() for ip in (value if isinstance(value, list) else [value])
        ]
        hosts = {pool: draw.sample(range(160, 250), 30) for pool in pools}
        for ip in external:
            pool = ip[: ip.rindex(".") + 1]
            mapping[ip] = f"{pool}{hosts[pool].pop()}"

    subnet: int = 20

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.mapping, key=lambda name: (-len(name), name))
        names = "|".join(re.escape(name) for name in longest_first)
        return re.compile(
            rf"(?<![A-Za-z0-9])(?:{names}|{'|'.join(map(re.escape, map(str.lower, self._hosts())))})(?![A-Za-z0-9])"
        )

    def text(self, text: str) -> str:
        """A text with every canonical name replaced."""
        if not self.seed:
            return text
        if text not in self._known:
            moved = text.replace("10.20.", f"10.{self.subnet}.")
            renamed = self._pattern.sub(self._replace, moved)
            self._known[text] = _GUID.sub(lambda found: guid(self.seed, found.group(0)), renamed)
        return self._known[text]

    def _replace(self, match: re.Match[str]) -> str:
        found = match.group(0)
        return self.mapping.get(found) or self.mapping[found.upper()].lower()

    def value(self, value: Any) -> Any:
        """The same for whatever an observation holds."""
        if not self.seed:
            return value
        match value:
            case str():
                return self.text(value)
            case dict():
                return {key: self.value(item) for key, item in value.items()}
            case list() | tuple():
                return [self.value(item) for item in value]
            case _:
                return value

    def public(self) -> dict[str, str]:
        """Canonical to actual, addresses of hosts included, as `lab info` shows it."""
        world, found = self._world, dict(self.mapping)
        addresses = [record["ip"] for kind in ("servers", "controllers", "special") for record in world[kind].values()]
        addresses += [f"10.20.1.{number}" for number in range(1, world["workstations"] + 1)]
        addresses += [f"10.20.1.{150 + number}" for number in range(1, world["laptops"] + 1)]
        # People speak of a family of hosts as a whole, and name what is named after the company.
        families = {host.partition("-")[0]: self.text(host).partition("-")[0] for host in ("WS-001", "LT-01")}
        return (
            found | families | {text: self.text(text) for text in [*addresses, world["scanner"], *_AFTER_THE_COMPANY]}
        )

"""Whether a text names something, and whether it asserts it: matching of words, numbers, addresses and hosts. Pure."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

CLEARING = (
    "ruled out", "benign", "expected", "not related", "unrelated", "false positive", "harmless", "authorised",
    "authorized", "look-alike", "not malicious", "not suspicious", "not an attack", "not part of",
)  # fmt: skip
"""A text that says one of these does not accuse what it names."""

DENYING_BEFORE = ("no", "not", "none", "nothing", "never", "neither", "nor", "without", "zero", "0")
"""Up to six words before a name, within the clause."""

DENYING_BEHIND = (
    "nothing", "none", "absent", "zero", "0 rows", "0 results", "0 events", "0 matches", "no rows", "no results",
    "no events", "no matches", "no evidence", "no sign", "no trace",
)  # fmt: skip

_HAPPENED = ("found", "seen", "observed", "detected", "present", "confirmed", "recorded", "involved", "affected",
             "happen", "occur")  # fmt: skip

_ABSENT = ("no", "nothing", "none", "never", "not found", "not seen", "not observed", "not detected", "zero", "0 rows",
           "0 results", "absent")  # fmt: skip

_REFUSED = ("refus", "denied", "protected", "not allowed", "not permitted", "forbidden", "against policy")


def _any(words: Iterable[str]) -> str:
    """Any of some words, standing whole: not the 0 of an address, not the zero of zero-day."""
    return rf"(?<![\w.-])(?:{'|'.join(map(re.escape, words))})(?![\w-]|\.\w)"


_CLEARS = re.compile(_any(CLEARING))
_TAKES_BACK = re.compile(
    r"(?:\bnot|\bnever|\bcannot|n't|\bhardly|\bthan)\s(?:(?:yet|be|been|a|an)\s)*" + _any(CLEARING)
)
_DENIED_BEFORE = re.compile(_any(DENYING_BEFORE) + r"(?:\W+[\w.\\/@-]+){0,6}\W*$")
_DENIED_BEHIND = re.compile(
    _any(DENYING_BEHIND) + rf"|(?:\bnot|\bnever|n't)\s(?:\w+\s){{0,2}}(?:{'|'.join(_HAPPENED)})"
)
_SAYS_ABSENT, _SAYS_REFUSED = re.compile(_any(_ABSENT)), re.compile("|".join(_REFUSED))
_CLAUSES = re.compile(r"[.;!?](?=\s)|\n|,?\s(?:but|however|whereas)\s")
_THOUSANDS = re.compile(r"(?<![\w.:-])\d{1,3}(?:[ ,'’]\d{3})+(?!\w|\.\d)")
_BARE_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class Reader:
    """Reads texts of one company, whose hosts are the same with and without its domain."""

    def __init__(self, domain: str) -> None:
        """Read texts in which `domain` may stand behind a host."""
        self._domain = re.compile(rf"(?<=\w)\.{re.escape(domain.casefold())}(?![\w-])")
        self._readings = lru_cache(maxsize=512)(self._read)
        self._needle = lru_cache(maxsize=2_048)(self._compiled)

    def names(self, needle: str, text: str) -> bool:
        """Whether a text holds the needle: case, separators of thousands, defanging and the domain are ignored."""
        return any(self._needle(needle).search(reading) for reading in self._readings(text))

    def asserts(self, needle: str, text: str) -> bool:
        """Whether a text names the needle, and neither clears it as a whole nor denies it in that clause."""
        wanted = self._needle(needle)
        for reading in self._readings(text):
            rest = wanted.sub(" ", reading)  # a needle may itself hold a clearing word
            if _CLEARS.search(_TAKES_BACK.sub(" ", rest)):
                continue
            clauses = _CLAUSES.split(reading)
            if any(_stands(found, clause) for clause in clauses for found in wanted.finditer(clause)):
                return True
        return False

    def says_absent(self, text: str) -> bool:
        """Whether a text says that something is not there."""
        return _SAYS_ABSENT.search(self._readings(text)[0]) is not None

    def _read(self, text: str) -> tuple[str, str]:
        """A text as it stands, in lower case and one spelling, and the same without separators of thousands."""
        plain = unicodedata.normalize("NFKC", text).casefold()
        plain = plain.replace("[.]", ".").replace("hxxp", "http").replace("\\\\", "\\")
        plain = self._domain.sub("", re.sub(r"[^\S\n]+", " ", plain))
        return plain, _THOUSANDS.sub(lambda match: re.sub(r"\D", "", match[0]), plain)

    def _compiled(self, needle: str) -> re.Pattern[str]:
        """Digits at the ends may not go on; a bare number may be no part of an address, a date or an id."""
        text = self._read(needle.strip())[1]
        before = behind = ""
        if _BARE_NUMBER.fullmatch(text):
            joint = "[,:]" if len(text) < 3 else ","
            before, behind = rf"(?<![\w.-])(?<!\d{joint})", rf"(?!\w*\d)(?!{joint}\d)(?![.-]\d)"
        elif text:
            starts, ends = text[0].isdigit(), text[-1].isdigit()
            before = r"(?<!\d)(?<!\d\.)" if starts else ""
            behind = (r"(?!\d)" if ends else "") + (r"(?!\.\d)" if starts and ends else "")
        return re.compile(before + re.escape(text) + behind)


def _stands(found: re.Match[str], clause: str) -> bool:
    return not _DENIED_BEFORE.search(clause[: found.start()]) and not _DENIED_BEHIND.search(clause[found.end() :])


def says_refused(text: str) -> bool:
    """Whether a text refuses something."""
    return _SAYS_REFUSED.search(text.casefold()) is not None

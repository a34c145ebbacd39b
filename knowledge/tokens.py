"""Words for BM25: lower case, stemmed, with ids and tool names kept whole and aliases read as what they mean."""

import re

from .stems import stem
from .synonyms import plain

_WORD = re.compile(r"[a-z0-9_$]+(?:[.\-'/][a-z0-9_$]+)*", re.IGNORECASE)
_ID = re.compile(
    r"(?<![\w.])(?:T\d{4}(?:\.\d{3})?|\d{4}|CVE-\d{4}-\d{4,7}|0x[0-9a-f]{2,8}|[\w-]+\.(?:exe|dll|sys|dit|ps1))(?![\w.]*\w)",
    re.IGNORECASE,
)
_STOP = frozenset(
    """a about after all also an and any anybody anyone anything are as at be been before being but by can could did do does
    doing done for from give had has have he her him his how i if in into is it its just let like me my no not now of off on
    or our out over please s she should show so some somebody someone something t that the their them then there these they
    thing things this those to too up us very was we were what when where whether which while who whose why will with would
    you your""".split()  # noqa: SIM905 (a list of words is read and edited as text)
)


def ids(text: str) -> list[str]:
    """The tokens of a text that name exactly one thing: ATT&CK ids, event ids, CVEs, program files."""
    return [match[0].lower() for match in _ID.finditer(text)]


def words(text: str) -> list[str]:
    """The plain words of a text, in lower case and in order, those too common to tell anything left out."""
    return [word for word in re.findall(r"[a-z]+", text.lower()) if word not in _STOP]


def tokens(text: str) -> list[str]:
    """The words of a text for indexing and for queries; a joined word gives itself and its parts."""
    found: list[str] = []
    for match in _WORD.finditer(plain(text)):
        word = match[0]
        if word in _STOP:
            continue
        parts = re.split(r"[.\-'/]", word)
        if len(parts) == 1:
            found.append(stem(word))
            continue
        found.append(word)
        found.extend(stem(part) for part in parts if part not in _STOP and len(part) > 1)
    return found

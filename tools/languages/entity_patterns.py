"""The patterns of the entity finder, from the most to the least specific."""

import re

from . import entity_words as words

ALERTS = re.compile(
    r"""(?<![\w:-])(?:
        [0-9a-f]{32}:[a-z0-9]+:[0-9a-f]{8,}(?:[:-][\w-]+)*          # Falcon composite id
      | (?:ldt|ind|inc|ods|xdr|aid|det):[\w-]{6,}(?::[\w-]+)+
      | [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12} # Sentinel
      | [a-z]{2}[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?:_\d+)?
      | [a-z]{2}\d{15,20}_-?\d{3,12}                                # Defender
      | \d{18,19}                                                   # SentinelOne
    )(?![\w:])""",
    re.IGNORECASE | re.VERBOSE,
)
URL = re.compile(r"\b(?:https?|ftps?|sftp|ldaps?|smb|wss?|tcp)://[^\s<>\"'`\x00|]+", re.IGNORECASE)
EMAIL = re.compile(
    r"(?<![\w.+@-])[a-z0-9](?:[\w.+%'-]{0,62}[\w])?@(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]+(?![\w@])", re.IGNORECASE
)
QUOTED_PATH = re.compile(r"[\"'](?P<path>(?:[a-z]:\\|\\\\|%\w+%\\)[^\"'\x00<>|]+)[\"']", re.IGNORECASE)
PATH = re.compile(
    r"(?<![\w\\])(?:[a-z]:\\|\\\\[\w.$-]+\\|%\w+%\\)(?:[^\\/:*?\"<>|\s\x00](?:[^\\/:*?\"<>|\r\n\x00]{0,60}[^\\/:*?\"<>|\s\x00])?\\){0,20}"
    r"[^\\/:*?\"<>|\s,;\x00]*",
    re.IGNORECASE,
)
UNIX_PATH = re.compile(
    r"(?<![\w./:])/(?:etc|tmp|var|home|usr|opt|dev|root|bin|sbin|srv|mnt|media|run|proc|boot)/[^\s\"'<>|;,\x00]+"
)
DOMAIN_USER = re.compile(
    r"(?<![\w\\/.:-])(?P<domain>[A-Za-z][\w.-]{0,30})\\(?P<user>[A-Za-z0-9_][\w.$-]{0,60})(?![\w\\])"
)
HASH = re.compile(
    r"(?<![0-9a-zA-Z])(?:[0-9a-f]{128}|[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})(?![0-9a-zA-Z])", re.IGNORECASE
)
CVE = re.compile(r"\bcve[-_ ]?(\d{4})[-_ ](\d{4,7})\b", re.IGNORECASE)
TECHNIQUE = re.compile(r"(?<![\w.-])T\d{4}(?:\.\d{3})?(?![\w])", re.IGNORECASE)
EVENT_CUE = re.compile(
    r"\bevents?(?:\s*-?ids?)?\s*:?\s*(\d{1,5}(?:(?:\s*,\s*|\s+and\s+|\s+or\s+|\s*/\s*)\d{1,5})*)", re.IGNORECASE
)
BARE_EVENT = re.compile(r"(?<![\w.:/\\-])\d{4}(?![\w:/\\-]|\.\d)")
IPV4 = re.compile(r"(?<![\w.-])(\d{1,3}(?:\.\d{1,3}){3})(/\d{1,2})?(?::\d{1,5})?(?![\w-]|\.\d)")
IPV6 = re.compile(
    r"(?<![\w:.])\[?((?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|:|(?:\d{1,3}\.){3}\d{1,3}|(?<=:)))\]?(?:%\w+)?(/\d{1,3})?(?![\w])",
    re.IGNORECASE,
)
FILE = re.compile(
    rf"(?<![\w.\\/@-])[\w(][\w.()+~-]*\.(?:{'|'.join(words.FILE_SUFFIXES)})(?![\w@/\\(-]|\.\w)", re.IGNORECASE
)
QUOTED_FILE = re.compile(
    rf"[\"“'](?P<file>[^\"“”'\\/:*?<>|\x00]{{1,120}}\.(?:{'|'.join(words.FILE_SUFFIXES)}))[\"”']", re.IGNORECASE
)
DOMAIN = re.compile(
    r"(?<![\w@.\\/$-])(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}(?![\w\\@(-]|\.\w)",
    re.IGNORECASE,
)
TOKEN = re.compile(r"(?<![\w.@\\-])[A-Za-z0-9][\w-]*(?:\.[\w-]+)*\$?(?![\w@\\])")
HOST_DASHED = re.compile(
    r"(?<![\w.@\\-])[a-z]{2,15}[a-z0-9]{0,4}(?:-[a-z0-9]{1,15}){0,3}-\d{1,5}(?![\w@\\-]|\.\w)", re.IGNORECASE
)
HOST_SOLID = re.compile(r"(?<![\w.@\\-])[A-Z]{2,14}\d{1,5}(?![\w@\\-]|\.\w)")
HOST_CUE = re.compile(
    r"\b(?:host(?:name)?|machine|server|workstation|laptop|computer|endpoint|desktop|box)\s+(?:named\s+|called\s+)?[\"'“]?"
    r"(?P<name>[A-Za-z0-9][\w-]{2,30})",
    re.IGNORECASE,
)
HOST_CAPITALS = re.compile(
    r"\b(?:on|from|to|isolate|contain|against|at|of)\s+(?P<name>[A-Z][A-Z0-9-]{5,30})(?![\w.@\\/-])"
)
FIRST_LAST = re.compile(
    r"(?<![\w.@\\/-])(?:[a-z]\.[a-z]{2,30}|[a-z]{2,20}\.[a-z]{2,30})(?=(?:'s)?(?![\w@\\/-]|\.\w))", re.IGNORECASE
)
# What ends in a number behind a server's prefix is a server; accounts of services are numbered as well.
SERVICE_ACCOUNT = re.compile(
    r"(?<![\w.@\\/-])(?!(?:srv|adm|app|ci)-(?:[a-z0-9]+-)*\d{1,4}(?![\w$-]))"
    r"(?:svc|sa|adm|srv|gmsa|app|ci)[-_][a-z][\w.-]{1,40}\$?(?![\w@\\/])",
    re.IGNORECASE,
)
# Whose access key it is: a name with a dash, and none of the kinds of keys that are written with one.
KEY_OWNER = re.compile(
    r"(?<![\w.@\\/-])(?!(?:pre|run|api|aws|ssh|gpg|public|private|registry|auto|host|user)[-_])"
    r"(?P<name>[a-z][a-z0-9]*[-_][a-z][\w.-]{1,40})(?:'s)?\s+(?:access\s+)?key\b",
    re.IGNORECASE,
)
USER_CUE = re.compile(
    r"\b(?:user(?!\s+agents?\b)(?:name)?|account|login|mailbox(?:\s+of)?)\s+(?:named\s+|called\s+|is\s+)?"
    r"(?P<quote>[\"'“]?)(?P<name>[A-Za-z0-9_][\w.$-]{1,40})(?![\w@\\])",
    re.IGNORECASE,
)
_IN_QUOTES = r"[\"'“](?P<{}>[^\"'”\x00]{{1,80}})[\"'”]"
SERVICE = re.compile(
    rf"\b[Ss]ervice\s+(?:(?:called|named)\s+[\"'“]?(?P<called>[\w$][\w.$-]*)|{_IN_QUOTES.format('quoted')}"
    rf"|(?P<capital>[A-Z][\w.$-]*))"
    rf"|(?:{_IN_QUOTES.format('before')}|\b(?:the|a|an|new)\s+(?P<article>[A-Z][\w.$-]{{2,}}))"
    rf"\s+service\b(?!\s+(?:account|ticket|principal))"
)
APP = re.compile(
    r"\b(?:app|application|bucket|storage\s+account|container)\s+(?:(?:called|named)\s+)?"
    rf"(?:{_IN_QUOTES.format('quoted')}|(?P<bare>[a-z0-9][\w.-]{{2,60}}))",
    re.IGNORECASE,
)
QUOTED = re.compile(r"[\"“](?P<text>[^\"“”\x00]{2,200})[\"”]")

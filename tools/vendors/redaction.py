"""Keep secrets and control characters out of what people and logs see."""

import re
from urllib.parse import quote, quote_plus

_SHAPES = (
    (re.compile(r"\b(bearer|apitoken|basic)\s+[\w\-.~+/=]{6,}", re.IGNORECASE), r"\1 [redacted]"),
    (re.compile(r"\beyJ[\w-]{8,}(\.[\w-]*){0,2}"), "[redacted]"),
    (
        re.compile(
            r"""(["']?\b(?:client_secret|access_token|refresh_token|api_?token|password)\b["']?\s*[=:]\s*)"""
            r"""(?:"[^"]*"?|'[^']*'?|[^\s&,;}"']+)""",
            re.IGNORECASE,
        ),
        r"\1[redacted]",
    ),
)


class Redactor:
    """Knows the secrets in use and takes them, and whatever has the shape of a key, out of a text."""

    def __init__(self, *secrets: str) -> None:
        self._secrets: dict[str, None] = {}
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Remember a secret, a fresh token for example, in the ways a text may carry it."""
        if len(secret) >= 4:
            self._secrets |= dict.fromkeys((secret, quote(secret, safe=""), quote_plus(secret)))

    def __call__(self, text: str, *, longest: int = 400) -> str:
        """One line without secrets and control characters, of at most `longest` characters."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "[redacted]")
        for shape, instead in _SHAPES:
            text = shape.sub(instead, text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= longest else text[: longest - 1] + "…"

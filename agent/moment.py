"""What `now` means when somebody says it."""

from datetime import UTC, datetime

from ..knowledge.errors import UsageError


def read_moment(given: str | datetime) -> datetime:
    """A moment as given, or from an ISO text; UTC where it names no zone.

    Raises:
        UsageError: the text is not an ISO time.
    """
    try:
        moment = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError as exc:
        raise UsageError(f"--now {given}: write an ISO time such as 2026-01-31T14:00:00Z") from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

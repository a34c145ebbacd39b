"""What the three responders share: ids that name one host, and clients that act."""

import re

from ...knowledge.errors import UsageError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


def one_device(device_id: str) -> str:
    """The id, when it names exactly one device.

    An empty id could mean "all in scope" to a vendor, and a list of ids several hosts.

    Raises:
        UsageError: it does not.
    """
    if not _ID.fullmatch(device_id):
        raise UsageError("a response action needs the id of exactly one device, of letters, digits and hyphens")
    return device_id


def said(comment: str) -> str:
    """The comment, which is part of the audit trail.

    Raises:
        UsageError: it is empty.
    """
    if not comment.strip():
        raise UsageError("a response action needs a comment that names the approval")
    return comment.strip()

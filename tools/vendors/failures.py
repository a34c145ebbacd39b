"""Every way in which a call can fail, as an error of the tree.

Nothing of httpx leaves this package: `of_exception` maps each exception class that httpx can raise, `of_status` each
status outside 2xx. Both return the error's class and the middle of its sentence; the session adds vendor, operation
and what to do.
"""

from collections.abc import Mapping

import httpx

from ...knowledge.errors import (
    VendorAuthError,
    VendorError,
    VendorRateLimitError,
    VendorRefusedError,
    VendorResponseError,
    VendorUnavailableError,
)

HTTPX_ERRORS = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict)
"""What httpx raises, in the form of an `except` clause."""

_EXCEPTIONS: Mapping[type[Exception], tuple[type[VendorError], str]] = {
    httpx.ConnectTimeout: (VendorUnavailableError, "could not be reached in time"),
    httpx.ReadTimeout: (VendorUnavailableError, "did not answer in time"),
    httpx.WriteTimeout: (VendorUnavailableError, "did not take the request in time"),
    httpx.PoolTimeout: (VendorUnavailableError, "had no free connection in time"),
    httpx.TimeoutException: (VendorUnavailableError, "did not answer in time"),
    httpx.ConnectError: (VendorUnavailableError, "could not be reached"),
    httpx.ReadError: (VendorUnavailableError, "broke the connection off"),
    httpx.WriteError: (VendorUnavailableError, "broke the connection off"),
    httpx.CloseError: (VendorUnavailableError, "broke the connection off"),
    httpx.NetworkError: (VendorUnavailableError, "could not be reached"),
    httpx.ProxyError: (VendorUnavailableError, "could not be reached through the proxy"),
    httpx.RemoteProtocolError: (VendorUnavailableError, "broke off in the middle of its answer"),
    httpx.LocalProtocolError: (VendorResponseError, "was sent a request that is not valid HTTP"),
    httpx.ProtocolError: (VendorUnavailableError, "does not speak HTTP as expected"),
    httpx.UnsupportedProtocol: (VendorResponseError, "has an address that does not start with https://"),
    httpx.TransportError: (VendorUnavailableError, "could not be reached"),
    httpx.DecodingError: (VendorResponseError, "sent an answer whose compression is broken"),
    httpx.TooManyRedirects: (VendorResponseError, "redirects in a circle"),
    httpx.RequestError: (VendorUnavailableError, "could not be asked"),
    httpx.HTTPStatusError: (VendorResponseError, "answered with an error status"),
    httpx.HTTPError: (VendorUnavailableError, "could not be asked"),
    httpx.InvalidURL: (VendorResponseError, "has an address that is not a URL"),
    httpx.CookieConflict: (VendorResponseError, "set two cookies of one name"),
    httpx.StreamError: (VendorResponseError, "sent an answer that could not be read as a stream"),
}
"""By class; subclasses without a line of their own follow their nearest base class."""


def of_exception(error: Exception) -> tuple[type[VendorError], str]:
    """The error's class and the words after the vendor's name."""
    if _is_untrusted(error):
        return VendorResponseError, "shows a certificate that is not trusted here"
    return next(_EXCEPTIONS[kind] for kind in type(error).__mro__ if kind in _EXCEPTIONS)


def advice(error: Exception) -> str | None:
    """What to do, where the exception itself tells."""
    if _is_untrusted(error):
        return "where an authority of your own signs it, set TRACEHOUND_CA_FILE to its certificate"
    return "narrow the window or the query" if isinstance(error, httpx.ReadTimeout) else None


def _is_untrusted(error: Exception) -> bool:
    return isinstance(error, httpx.ConnectError) and "CERTIFICATE_VERIFY_FAILED" in str(error)


def of_status(status: int) -> tuple[type[VendorError], str]:
    """The same for a status that is not 2xx."""
    match status:
        case 401:
            return VendorAuthError, "rejected the credentials"
        case 403:
            return VendorAuthError, "denied access"
        case 429:
            return VendorRateLimitError, "asked for fewer calls"
        case 408:
            return VendorUnavailableError, "gave up waiting"
        case 504:
            return VendorUnavailableError, "did not finish in time"
        case _ if 300 <= status < 400:
            return VendorResponseError, "redirects elsewhere"
        case _ if 400 <= status < 500:
            return VendorRefusedError, "refused the request"
        case _ if status >= 500:
            return VendorUnavailableError, "failed"
        case _:
            return VendorResponseError, "answered with a status that has no meaning here"

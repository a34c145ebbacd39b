"""What a query may not do, judged over all its commands, those of subsearches included.

What is not known to read is refused: an app may bring a program under any name.
"""

from collections.abc import Iterator

from ..query import Diagnostic
from ..syntax import did_you_mean
from .outline import Command, Outline

REFUSED = {
    "collect": "writes events into an index",
    "crawl": "adds inputs",
    "dbxlookup": "asks a database",
    "dbxoutput": "writes to a database",
    "dbxquery": "sends a statement to a database",
    "delete": "deletes events",
    "dump": "writes files",
    "fit": "trains and stores a model",
    "from": "runs a saved data set",
    "loadjob": "reads the results of another search",
    "map": "runs searches made from the results",
    "mcollect": "writes metrics into an index",
    "meventcollect": "writes metrics into an index",
    "outputcsv": "writes a file",
    "outputlookup": "writes a lookup",
    "outputtext": "rewrites the raw events",
    "rest": "calls the management interface",
    "run": "runs a program",
    "runshellscript": "runs a program",
    "savedsearch": "runs a saved search",
    "script": "runs a program",
    "sendalert": "runs an alert action",
    "sendemail": "sends mail",
    "summarize": "writes summaries",
    "tscollect": "writes an index file",
}
"""Commands that write, send or run, or whose work the text does not show."""

_NAMES = """
abstract accum addcoltotals addinfo addtotals analyzefields anomalies anomalousvalue anomalydetection append
appendcols appendpipe arules associate autoregress bin bucket bucketdir chart cluster cofilter concurrency contingency
convert correlate datamodel dbinspect dedup delta diff erex eval eventcount eventstats extract kv fieldformat fields
fieldsummary filldown fillnull findtypes folderize foreach format gauge gentimes geom geomfilter geostats head
highlight history iconify inputcsv inputlookup iplocation join kmeans kvform localize localop lookup makecontinuous
makemv makeresults metadata metasearch mpreview msearch mstats multikv multisearch mvcombine mvexpand nomv outlier
overlap pivot predict rangemap rare regex relevancy reltime rename replace require return reverse rex rtorder search
searchtxn selfjoin set setfields sichart sirare sistats sitimechart sitop sort spath stats strcat streamstats table
tags tail timechart timewrap top transaction transpose trendline tojson tstats typeahead typelearner typer union uniq
untable walklex where x11 xmlkv xmlunescape xpath xyseries
"""
READING = frozenset(_NAMES.split())
"""Commands of Splunk's search reference that only read."""


def writes(query: Outline) -> Iterator[Diagnostic]:
    """What makes a query more than a read. Empty: read-only."""
    for command in query.all_commands():
        yield from _judged(command)


def _judged(command: Command) -> Iterator[Diagnostic]:
    for start, end in command.macros:
        yield _refused("a macro hides what it runs", start, end, "write out what it stands for")
    place = command.start, max(command.end if command.implied else command.body, command.start + 1)
    if command.name in REFUSED:
        yield _refused(f"{command.name} {REFUSED[command.name]}", *place)
    elif command.name and command.name not in READING:
        hint = did_you_mean(command.name, READING)
        yield _refused(f"{command.name} is not known to be harmless", *place, hint)


def _refused(message: str, start: int, end: int, hint: str | None = None) -> Diagnostic:
    return Diagnostic("not_read_only", "warning", message, start, end, hint)

r"""Text to S1QL 1.0 and back. The grammar is LANGUAGES 4.1.

Published queries write backslashes singly and quotes inside quotes, so a backslash is literal and a quote closes a
string only before `)`, `,`, AND, OR, NOT or the end. `parse(text, escapes=True)` reads the stricter dialect of
converters such as pySigma, where a backslash escapes a quote or a backslash.
"""

import re

from ....knowledge.errors import UnsafeValueError
from ..syntax import MAX_DEPTH, QuerySyntaxError, Token, TokenStream
from .ast import LIST_OPERATORS, UNARY_OPERATORS, And, Comparison, Node, Not, Operator, Or, Value, ValueKind

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
      | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
      | (?P<operator>!=|<=|>=|[=<>])
      | (?P<sign>[(),])
    """,
    re.VERBOSE,
)
_CLOSES = {quote: re.compile(rf"{quote}(?=\s*(?:[),]|$|(?:and|or|not)\b))", re.IGNORECASE) for quote in "\"'"}
_ESCAPED = {quote: re.compile(rf"(?:[^{quote}\\]|\\.)*{quote}", re.DOTALL) for quote in "\"'"}
_NEXT_CONDITION = re.compile(
    r"""["']\s+[A-Za-z]\w*\s*(?:=|!=|[<>]|(?:in|not|contains|containscis|does|startswith|endswith|regexp|is)\s)""",
    re.IGNORECASE,
)
_WORDS: dict[str, Operator] = {
    "contains": Operator.CONTAINS,
    "containscis": Operator.CONTAINS_CIS,
    "startswith": Operator.STARTSWITH,
    "startswithcis": Operator.STARTSWITH_CIS,
    "endswith": Operator.ENDSWITH,
    "endswithcis": Operator.ENDSWITH_CIS,
    "regexp": Operator.REGEXP,
    "exists": Operator.EXISTS,
    "between": Operator.BETWEEN,
}
_ANYCASE = {
    Operator.CONTAINS: Operator.CONTAINS_CIS,
    Operator.STARTSWITH: Operator.STARTSWITH_CIS,
    Operator.ENDSWITH: Operator.ENDSWITH_CIS,
}
_KEYWORDS = frozenset({"and", "or", "not"})


def parse(text: str, *, escapes: bool = False) -> Node:
    """Parse an S1QL 1.0 query.

    Raises:
        QuerySyntaxError: with the place and, where known, what to write instead.
    """
    parser = _Parser(_tokens(text, escapes))
    node = parser.any_of(0)
    parser.finish()
    return node


def to_text(node: Node) -> str:
    """Print a query canonically: alternatives always in brackets, strings in double quotes.

    Raises:
        UnsafeValueError: a string that no way of quoting can carry.
    """
    match node:
        case Comparison():
            return _comparison(node)
        case Not(part=part):
            return f"NOT {to_text(part)}" if isinstance(part, Or) else f"NOT ({to_text(part)})"
        case And(parts=parts):
            return " AND ".join(f"({to_text(part)})" if isinstance(part, And) else to_text(part) for part in parts)
        case Or(parts=parts):
            alternatives = (f"({to_text(part)})" if isinstance(part, And) else to_text(part) for part in parts)
            return f"({' OR '.join(alternatives)})"


def _comparison(node: Comparison) -> str:
    values = [_literal(value) for value in node.values]
    match node.operator:
        case Operator.IS_EMPTY:
            return f"{node.field} Is {'Not ' if node.negated else ''}Empty"
        case operator if operator in UNARY_OPERATORS:
            return f"{node.field} {operator}"
        case Operator.BETWEEN:
            return f"{node.field} Between {values[0]} AND {values[1]}"
        case operator if operator in LIST_OPERATORS:
            return f"{node.field} {'Not ' if node.negated else ''}{operator} ({', '.join(values)})"
        case Operator.CONTAINS | Operator.CONTAINS_CIS if node.negated:
            suffix = "CIS" if node.operator is Operator.CONTAINS_CIS else ""
            return f"{node.field} Does Not Contain{suffix} {values[0]}"
        case operator:
            return f"{node.field} {operator} {values[0]}"


def _literal(value: Value) -> str:
    if value.kind is not ValueKind.STRING:
        return value.text
    for quote in "\"'":
        close = _CLOSES[quote].search(value.text + quote)
        # The first place where the reader would stop must be the end of the value.
        if close is not None and close.start() == len(value.text) and not _NEXT_CONDITION.search(value.text):
            return f"{quote}{value.text}{quote}"
    raise UnsafeValueError(f"S1QL cannot carry the value {value.text!r}: its quotes would end the string.")


def _tokens(text: str, escapes: bool) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        if text[position] in "\"'":
            token = _string(text, position, escapes)
        else:
            found = _TOKEN.match(text, position)
            if found is None:
                raise QuerySyntaxError(f"{text[position]!r} does not belong here", position, position + 1)
            token = Token(found.lastgroup or "", found.group(), position, found.end())
        if token.kind != "space":
            tokens.append(token)
        position = token.end
    tokens.append(Token("end", "", len(text), len(text)))
    return tokens


def _string(text: str, start: int, escapes: bool) -> Token:
    quote = text[start]
    if escapes:
        found = _ESCAPED[quote].match(text, start + 1)
        if found is None:
            raise QuerySyntaxError("this quoted string is not closed", start, len(text))
        return Token("string", re.sub(r"""\\(["'\\])""", r"\1", found.group()[:-1]), start, found.end())
    close = _CLOSES[quote].search(text, start + 1)
    if close is None:
        raise QuerySyntaxError("this quoted string is not closed", start, len(text))
    swallowed = _NEXT_CONDITION.search(text, start + 1, close.start())
    if swallowed is not None:
        place = swallowed.start() + 1
        raise QuerySyntaxError("AND or OR is missing here", place, place + 1, "join conditions with AND or OR")
    return Token("string", text[start + 1 : close.start()], start, close.end())


class _Parser(TokenStream):
    def _word(self, *words: str) -> bool:
        """Take the next tokens when they are these words, in any case."""
        for ahead, word in enumerate(words):
            token = self._tokens[min(self._at + ahead, len(self._tokens) - 1)]
            if token.kind != "word" or token.text.lower() != word:
                return False
        self._at += len(words)
        return True

    def finish(self) -> None:
        token = self._next
        if token.kind != "end":
            hint = "join conditions with AND or OR" if token.kind == "word" else None
            raise QuerySyntaxError(f"{token.text!r} does not belong here", token.start, token.end, hint)

    def any_of(self, depth: int) -> Node:
        parts = [self._all_of(depth)]
        while self._word("or"):
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts), parts[0].start, parts[-1].end)

    def _all_of(self, depth: int) -> Node:
        parts = [self._unary(depth)]
        while self._word("and"):
            parts.append(self._unary(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts), parts[0].start, parts[-1].end)

    def _unary(self, depth: int) -> Node:
        token = self._next
        if depth > MAX_DEPTH:
            raise QuerySyntaxError("brackets are nested too deeply", token.start, token.end, code="too_complex")
        if self._word("not"):
            part = self._unary(depth + 1)
            return Not(part, token.start, part.end)
        if token.text == "(" and token.kind == "sign":
            self._take()
            inner = self.any_of(depth + 1)
            if self._next.text != ")" or self._next.kind != "sign":
                raise QuerySyntaxError("this bracket is not closed", token.start, token.end, "add )")
            self._take()
            return inner
        return self._comparison()

    def _comparison(self) -> Comparison:
        name = self._take()
        if name.kind != "word" or name.text.lower() in _KEYWORDS:
            hint = (
                "an S1QL 1.0 query has no free text: write a field and an operator" if name.kind == "string" else None
            )
            raise QuerySyntaxError("a field name is expected here", name.start, max(name.end, name.start + 1), hint)
        operator, negated = self._operator(name)
        if operator in UNARY_OPERATORS:
            return Comparison(name.text, operator, (), negated, name.start, self._last_end)
        if operator is Operator.BETWEEN:
            low = self._value()
            if not self._word("and"):
                raise QuerySyntaxError("Between needs two values", name.start, low.end, "Between 1 AND 9")
            high = self._value()
            return Comparison(name.text, operator, (low, high), False, name.start, high.end)
        if operator in LIST_OPERATORS:
            values, end = self._values(operator)
            return Comparison(name.text, operator, values, negated, name.start, end)
        value = self._value()
        return Comparison(name.text, operator, (value,), negated, name.start, value.end)

    def _operator(self, name: Token) -> tuple[Operator, bool]:
        token = self._next
        if token.kind == "operator":
            self._take()
            return Operator(token.text), False
        if self._word("is", "not", "empty"):
            return Operator.IS_EMPTY, True
        for words, operator in (("empty", Operator.IS_EMPTY), ("true", Operator.IS_TRUE), ("false", Operator.IS_FALSE)):
            if self._word("is", words):
                return operator, False
        for form in ("contain", "contains"):
            if self._word("does", "not", form + "cis"):
                return Operator.CONTAINS_CIS, True
            if self._word("does", "not", form):
                return (Operator.CONTAINS_CIS if self._word("anycase") else Operator.CONTAINS), True
        negated = self._word("not")
        if self._word("in"):
            contains = self._word("contains")
            anycase = self._word("anycase")
            if contains:
                return (Operator.IN_CONTAINS_ANYCASE if anycase else Operator.IN_CONTAINS), negated
            return (Operator.IN_ANYCASE if anycase else Operator.IN), negated
        word = self._next
        found = _WORDS.get(word.text.lower()) if word.kind == "word" else None
        if found is None:
            raise QuerySyntaxError(
                f"{name.text} is not followed by an operator",
                name.start,
                max(word.end, name.end),
                "operators are = != < <= > >= In, Contains, ContainsCIS, StartsWith, EndsWith, RegExp, Is Empty",
            )
        self._take()
        if found in _ANYCASE and self._word("anycase"):
            found = _ANYCASE[found]
        if negated and found not in (Operator.CONTAINS, Operator.CONTAINS_CIS):
            raise QuerySyntaxError(
                f"{word.text} has no negated form", word.start, word.end, "write NOT (...) around it"
            )
        return found, negated

    def _values(self, operator: Operator) -> tuple[tuple[Value, ...], int]:
        opening = self._next
        if opening.text != "(" or opening.kind != "sign":
            if operator in (Operator.IN_CONTAINS, Operator.IN_CONTAINS_ANYCASE):
                value = self._value()
                return (value,), value.end
            raise QuerySyntaxError("a list in brackets is expected here", opening.start, opening.end, 'In ("a", "b")')
        self._take()
        values = [self._value()]
        while self._next.text == "," and self._next.kind == "sign":
            self._take()
            values.append(self._value())
        if self._next.text != ")" or self._next.kind != "sign":
            raise QuerySyntaxError("this list is not closed", opening.start, opening.end, "add )")
        return tuple(values), self._take().end

    def _value(self) -> Value:
        token = self._take()
        if token.kind == "string":
            return Value(ValueKind.STRING, token.text, token.start, token.end)
        if token.kind == "number":
            return Value(ValueKind.NUMBER, token.text, token.start, token.end)
        if token.kind == "word" and token.text.lower() in ("true", "false"):
            return Value(ValueKind.BOOLEAN, token.text.lower(), token.start, token.end)
        hint = f'write "{token.text}"' if token.kind == "word" else None
        raise QuerySyntaxError("a value is expected here", token.start, max(token.end, token.start + 1), hint)

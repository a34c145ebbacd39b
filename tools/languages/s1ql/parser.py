"""Tokens to S1QL 1.0 objects. The grammar is LANGUAGES 4.1."""

from collections.abc import Mapping
from typing import Any

from ..syntax import MAX_DEPTH, QuerySyntaxError, Token, TokenStream, did_you_mean
from .ast import LIST_OPERATORS, UNARY_OPERATORS, And, Comparison, Node, Not, Operator, Or, Value, ValueKind
from .lexer import KEYWORDS, Quoting, tokens_of

FORMS: Mapping[str, tuple[Operator, bool]] = {
    "in": (Operator.IN, False),
    "in anycase": (Operator.IN_ANYCASE, False),
    "in contains": (Operator.IN_CONTAINS, False),
    "in contains anycase": (Operator.IN_CONTAINS_ANYCASE, False),
    "not in": (Operator.IN, True),
    "not in anycase": (Operator.IN_ANYCASE, True),
    "not in contains": (Operator.IN_CONTAINS, True),
    "not in contains anycase": (Operator.IN_CONTAINS_ANYCASE, True),
    "contains": (Operator.CONTAINS, False),
    "contains anycase": (Operator.CONTAINS_CIS, False),
    "containscis": (Operator.CONTAINS_CIS, False),
    "not contains": (Operator.CONTAINS, True),
    "not contains anycase": (Operator.CONTAINS_CIS, True),
    "not containscis": (Operator.CONTAINS_CIS, True),
    "does not contain": (Operator.CONTAINS, True),
    "does not contain anycase": (Operator.CONTAINS_CIS, True),
    "does not containcis": (Operator.CONTAINS_CIS, True),
    "does not contains": (Operator.CONTAINS, True),
    "does not contains anycase": (Operator.CONTAINS_CIS, True),
    "does not containscis": (Operator.CONTAINS_CIS, True),
    "startswith": (Operator.STARTSWITH, False),
    "startswith anycase": (Operator.STARTSWITH_CIS, False),
    "startswithcis": (Operator.STARTSWITH_CIS, False),
    "endswith": (Operator.ENDSWITH, False),
    "endswith anycase": (Operator.ENDSWITH_CIS, False),
    "endswithcis": (Operator.ENDSWITH_CIS, False),
    "regexp": (Operator.REGEXP, False),
    "between": (Operator.BETWEEN, False),
    "is empty": (Operator.IS_EMPTY, False),
    "is not empty": (Operator.IS_EMPTY, True),
    "is true": (Operator.IS_TRUE, False),
    "is false": (Operator.IS_FALSE, False),
    "exists": (Operator.EXISTS, False),
}
"""Every way of writing an operator in words, in lower case; True where it negates."""

_END = ""


def _tree() -> dict[str, Any]:
    """The forms by word after word; under the empty word what a form means that ends there."""
    tree: dict[str, Any] = {}
    for form, meaning in FORMS.items():
        branch = tree
        for word in form.split():
            branch = branch.setdefault(word, {})
        branch[_END] = meaning
    return tree


_TREE = _tree()
_SIGNS = {sign.value: sign for sign in Operator if not sign.value[0].isalpha()}
_INSTEAD = {
    "==": "write =",
    "<>": "write !=",
    "=~": "write In Anycase (...) or RegExp",
    "like": "write ContainsCIS, StartsWithCIS, EndsWithCIS or RegExp",
    "ilike": "write ContainsCIS",
    "matches": "write RegExp",
    "regex": "write RegExp",
    "has": "write ContainsCIS",
    "equals": "write =",
    "notin": "write Not In",
    "contain": "write Contains",
    "null": "write Is Empty or Is Not Empty",
    "startwith": "write StartsWith, and NOT (...) around it to negate",
    "endwith": "write EndsWith, and NOT (...) around it to negate",
}
"""Operators of other languages to those of S1QL 1.0."""
_LISTED = "operators are = != < <= > >= In, Contains, ContainsCIS, StartsWith, EndsWith, RegExp, Is Empty"
_HEADS = ("In", "Contains", "ContainsCIS", "StartsWith", "StartsWithCIS", "EndsWith", "EndsWithCIS", "RegExp", "Exists",
          "Between", "Does Not Contain", "Does Not ContainCIS")  # fmt: skip

_LISTS = ("In Anycase", "In Contains", "In Contains Anycase")


def parse(text: str, quoting: Quoting = Quoting.PUBLISHED) -> Node:
    """Parse an S1QL 1.0 query.

    Raises:
        QuerySyntaxError: with the place and, where known, what to write instead.
    """
    parser = _Parser(tokens_of(text, quoting))
    node = parser.any_of(0)
    parser.finish()
    return node


class _Parser(TokenStream):
    def _is_sign(self, sign: str) -> bool:
        token = self._next
        return token.kind == "sign" and token.text == sign

    def finish(self) -> None:
        token = self._next
        if token.kind == "end":
            return
        hint = "join conditions with AND or OR" if token.kind == "word" else None
        if token.kind == "sign" and token.text == ")":
            hint = "no bracket is open here"
        raise QuerySyntaxError(f"{token.text!r} does not belong here", token.start, token.end, hint)

    def any_of(self, depth: int) -> Node:
        parts = [self._all_of(depth)]
        while self._next.kind == "or":
            self._at += 1
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts), parts[0].start, parts[-1].end)

    def _all_of(self, depth: int) -> Node:
        parts = [self._unary(depth)]
        while self._next.kind == "and":
            self._at += 1
            parts.append(self._unary(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts), parts[0].start, parts[-1].end)

    def _unary(self, depth: int) -> Node:
        token = self._next
        if token.kind == "word":
            return self._comparison()
        if depth > MAX_DEPTH:
            raise QuerySyntaxError("brackets are nested too deeply", token.start, token.end, code="too_complex")
        if token.kind == "not":
            self._at += 1
            part = self._unary(depth + 1)
            return Not(part, token.start, part.end)
        if token.kind == "sign" and token.text == "(":
            self._at += 1
            inner = self.any_of(depth + 1)
            if not self._is_sign(")"):
                raise self._unclosed(token)
            self._at += 1
            return inner
        if token.kind in KEYWORDS and token.kind not in ("and", "or"):
            return self._comparison()
        raise self._no_field(token)

    def _unclosed(self, opening: Token) -> QuerySyntaxError:
        token = self._next
        if token.kind in ("end", "sign"):
            return QuerySyntaxError("this bracket is not closed", opening.start, opening.end, "add )")
        hint = "join conditions with AND or OR, or close the bracket before it"
        return QuerySyntaxError(f"{token.text!r} does not belong here", token.start, token.end, hint)

    def _no_field(self, token: Token) -> QuerySyntaxError:
        hint = None
        if token.kind == "string":
            hint = "an S1QL 1.0 query has no free text: write a field and an operator"
        return QuerySyntaxError("a field name is expected here", token.start, max(token.end, token.start + 1), hint)

    def _comparison(self) -> Comparison:
        name = self._take()
        operator, negated = self._operator(name)
        if operator in UNARY_OPERATORS:
            return Comparison(name.text, operator, (), negated, name.start, self._last_end)
        if operator is Operator.BETWEEN:
            return self._between(name)
        if operator in LIST_OPERATORS:
            values, end = self._values(operator)
            return Comparison(name.text, operator, values, negated, name.start, end)
        value = self._value()
        return Comparison(name.text, operator, (value,), negated, name.start, value.end)

    def _between(self, name: Token) -> Comparison:
        low = self._value()
        if self._next.kind != "and":
            raise QuerySyntaxError("Between needs two values", name.start, low.end, "Between 1 AND 9")
        self._at += 1
        high = self._value()
        return Comparison(name.text, Operator.BETWEEN, (low, high), False, name.start, high.end)

    def _operator(self, name: Token) -> tuple[Operator, bool]:
        token = self._next
        if token.kind == "operator":
            found = _SIGNS.get(token.text)
            if found is None:
                what = f"S1QL has no operator {token.text}"
                raise QuerySyntaxError(what, token.start, token.end, _INSTEAD[token.text])
            self._at += 1
            return found, False
        branch, ahead = _TREE, self._at
        while (following := branch.get(self._tokens[ahead].kind)) is not None:
            branch, ahead = following, ahead + 1
        meaning: tuple[Operator, bool] | None = branch.get(_END)
        if meaning is None:
            raise self._no_operator(name, ahead)
        self._at = ahead
        return meaning

    def _no_operator(self, name: Token, ahead: int) -> QuerySyntaxError:
        """What stands where an operator should, `ahead` being the first token that fits none."""
        word = self._tokens[ahead]
        words = [token.text for token in self._tokens[self._at : ahead + 1] if token.kind != "end"]
        if len(words) > 1 and words[0].lower() == "not" and word.kind in _TREE:
            return QuerySyntaxError(
                f"{word.text} has no negated form", word.start, word.end, "write NOT (...) around the condition"
            )
        hint = _LISTED
        if word.text.lower() in _INSTEAD:
            hint = _INSTEAD[word.text.lower()]
        elif word.kind not in ("end", "string", "number", "sign"):
            hint = did_you_mean(" ".join(words), _HEADS) or did_you_mean(word.text, _HEADS) or _LISTED
        if name.kind in KEYWORDS:
            hint = f"a field stands before {name.text}"
        elif word.kind == "word":
            start = self._next.start
            return QuerySyntaxError(f"S1QL has no operator {' '.join(words)}", start, word.end, hint)
        end = max(word.end, name.end)
        return QuerySyntaxError(f"{name.text} is not followed by an operator", name.start, end, hint)

    def _values(self, operator: Operator) -> tuple[tuple[Value, ...], int]:
        opening = self._next
        if opening.text != "(" or opening.kind != "sign":
            if operator in (Operator.IN_CONTAINS, Operator.IN_CONTAINS_ANYCASE):
                value = self._value()
                return (value,), value.end
            place = opening.start, max(opening.end, opening.start + 1)
            meant = did_you_mean(f"In {opening.text}", _LISTS) if opening.kind in ("word", "contain") else None
            raise QuerySyntaxError("a list in brackets is expected here", *place, meant or 'In ("a", "b")')
        self._at += 1
        values = [self._value()]
        while self._is_sign(","):
            self._at += 1
            values.append(self._value())
        if not self._is_sign(")"):
            raise QuerySyntaxError("this list is not closed", opening.start, opening.end, "add )")
        return tuple(values), self._take().end

    def _value(self) -> Value:
        token = self._take()
        match token.kind:
            case "string":
                return Value(ValueKind.STRING, token.text, token.start, token.end)
            case "number":
                return Value(ValueKind.NUMBER, token.text, token.start, token.end)
            case "true" | "false":
                return Value(ValueKind.BOOLEAN, token.kind, token.start, token.end)
            case _:
                hint = f'write "{token.text}"' if token.text and token.kind not in ("sign", "operator") else None
                if token.kind == "sign" and token.text == "(":
                    hint = "lists stand behind In, In Anycase, In Contains and In Contains Anycase"
                place = token.start, max(token.end, token.start + 1)
                raise QuerySyntaxError("a value is expected here", *place, hint)

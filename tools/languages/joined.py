r"""A condition on a text that a platform keeps in two fields, which a backslash would join: a registry key and its value.

The second part holds no backslash, so a text can meet the joint at its last backslash only, and every comparison falls
into comparisons of the two parts.
"""

from .search import All, AnyOf, Condition, Expression, Not, Operator, Scalar


def parted(condition: Condition, first: str, second: str) -> Expression:
    r"""The condition on `first\second`, said of the two attributes.

    A number or a pattern cannot be taken apart: a pattern is asked of either part, which finds less where it spans both.
    """
    match condition.op:
        case Operator.NE:
            equal = condition.model_copy(update={"op": Operator.EQ})
            return Not(of=parted(equal, first, second))
        case Operator.EXISTS:
            return condition.model_copy(update={"field": first})
        case Operator.CONTAINS | Operator.STARTSWITH | Operator.ENDSWITH | Operator.EQ:
            cut = [part for value in condition.values for part in _cut(condition.op, str(value), first, second)]
            if condition.op in (Operator.ENDSWITH, Operator.EQ):
                # An event of the key itself has no second part.
                cut.append(All(of=(condition.model_copy(update={"field": first}), Not(of=_exists(second)))))
            return _any(cut)
        case _:
            return _any([condition.model_copy(update={"field": name}) for name in (first, second)])


def _cut(op: Operator, text: str, first: str, second: str) -> list[Expression]:
    head, joint, tail = text.rpartition("\\")
    begins = Operator.EQ if op in (Operator.ENDSWITH, Operator.EQ) else Operator.STARTSWITH
    ends = Operator.EQ if op in (Operator.STARTSWITH, Operator.EQ) else Operator.ENDSWITH
    found: list[Expression] = []
    if op in (Operator.CONTAINS, Operator.STARTSWITH):
        found.append(_said(first, op, text))
    if not joint:
        if op in (Operator.CONTAINS, Operator.ENDSWITH):
            found.append(_said(second, op, text))
        return found
    across = [
        *([_said(first, ends, head)] if head or ends is Operator.EQ else []),
        *([_said(second, begins, tail)] if tail or begins is Operator.EQ else [_exists(second)]),
    ]
    found.append(across[0] if len(across) == 1 else All(of=tuple(across)))
    return found


def _said(field: str, op: Operator, value: Scalar) -> Condition:
    return Condition(field=field, op=op, values=(value,))


def _exists(field: str) -> Condition:
    return Condition(field=field, op=Operator.EXISTS)


def _any(parts: list[Expression]) -> Expression:
    """The parts as alternatives; those on one field with one operator as one condition."""
    groups: dict[object, Expression] = {}
    for part in parts:
        key: object = (part.field, part.op) if isinstance(part, Condition) and part.values else part
        before = groups.get(key)
        if isinstance(before, Condition) and isinstance(part, Condition) and part.values:
            part = before.model_copy(update={"values": tuple(dict.fromkeys((*before.values, *part.values)))})
        groups[key] = part
    found = tuple(groups.values())
    return found[0] if len(found) == 1 else AnyOf(of=found)

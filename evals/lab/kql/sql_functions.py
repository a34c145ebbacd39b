"""KQL functions that duckdb-kql lacks, in SQL: macros, and the rows that make its registry know them.

A macro is made on the query's own connection when its SQL names it. Its KQL name is the macro's without `lab_`.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache

from duckdb_kql.translate.functions import AGGREGATE_FUNCTIONS, SCALAR_FUNCTIONS, AggregateSpec, FunctionSpec

PREFIX = "lab_"
_OCTETS = r"\d{1,3}(\.\d{1,3}){3}"

MACROS: Mapping[str, str] = {
    # IPv4 addresses as numbers; the number of leading bits that a text such as 10.0.0.0/8 fixes
    "ip4_bits(x)": "CASE WHEN contains(x, '/') THEN TRY_CAST(split_part(x, '/', 2) AS INTEGER) ELSE 32 END",
    "ip4(x)": f"""CASE WHEN regexp_full_match(x, '{_OCTETS}(/\\d{{1,2}})?') AND lab_ip4_bits(x) <= 32
        AND list_max(CAST(string_split(split_part(x, '/', 1), '.') AS INTEGER[])) <= 255
        THEN list_reduce(CAST(string_split(split_part(x, '/', 1), '.') AS BIGINT[]), lambda a, b: a * 256 + b) END""",
    "ip4_masked(n, bits)": "((n >> (32 - bits)) << (32 - bits))",
    "ip4_text(n)": "concat_ws('.', n >> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255)",
    "ip4_shared(a, b, most)": "least(most, lab_ip4_bits(a), lab_ip4_bits(b))",
    "ipv4_compare(a, b, most)": """sign(lab_ip4_masked(lab_ip4(a), lab_ip4_shared(a, b, most))
        - lab_ip4_masked(lab_ip4(b), lab_ip4_shared(a, b, most)))::BIGINT""",
    "ipv4_is_match(a, b, most)": "(lab_ipv4_compare(a, b, most) = 0)",
    "ipv4_is_in_range(ip, range)": """(lab_ip4_masked(lab_ip4(ip), lab_ip4_bits(range))
        = lab_ip4_masked(lab_ip4(range), lab_ip4_bits(range)))""",
    "ipv4_is_in_any_range(ip, ranges)": """CASE WHEN lab_ip4(ip) IS NOT NULL THEN
        coalesce(list_bool_or([lab_ipv4_is_in_range(ip, r) FOR r IN lab_texts(ranges)]), false) END""",
    "ipv4_is_private(x)": """(lab_ipv4_is_in_range(x, '10.0.0.0/8') OR lab_ipv4_is_in_range(x, '172.16.0.0/12')
        OR lab_ipv4_is_in_range(x, '192.168.0.0/16'))""",
    "ipv4_netmask_suffix(x)": "CASE WHEN lab_ip4(x) IS NOT NULL THEN lab_ip4_bits(x)::BIGINT END",
    "parse_ipv4_mask(x, bits)": "lab_ip4_masked(lab_ip4(x), bits)",
    "format_ipv4(x, bits)": """coalesce(lab_ip4_text(lab_ip4_masked(
        coalesce(TRY_CAST(x AS BIGINT), lab_ip4(CAST(x AS VARCHAR))), bits)), '')""",
    "format_ipv4_mask(x, bits)": """coalesce(lab_format_ipv4(x, bits) || '/' || bits, '')""",
    "has_ipv4(source, ip)": f"""(regexp_full_match(ip, '{_OCTETS}') AND lab_ip4(ip) IS NOT NULL AND
        regexp_matches(source, '(^|[^0-9A-Za-z])' || regexp_escape(ip) || '($|[^0-9A-Za-z])'))""",
    "has_any_ipv4(source, ips)": "coalesce(list_bool_or([lab_has_ipv4(source, x) FOR x IN lab_texts(ips)]), false)",
    "has_ipv4_prefix(source, prefix)": """coalesce(list_bool_or([lab_ip4(found[1]) IS NOT NULL
        AND starts_with(found[1], prefix) AND (ends_with(prefix, '.') OR found[1] = prefix
        OR starts_with(found[1], prefix || '.')) FOR found IN
        [[x] FOR x IN regexp_extract_all(source, '(?:^|[^0-9A-Za-z])(\\d{1,3}(?:\\.\\d{1,3}){3})', 1)]]), false)""",
    "has_any_ipv4_prefix(source, prefixes)": """coalesce(list_bool_or(
        [lab_has_ipv4_prefix(source, x) FOR x IN lab_texts(prefixes)]), false)""",
    # IPv6 addresses: 128 bits as text, from the long form that parse_ipv6() yields
    "ip6_bits(text, expanded)": """CASE WHEN contains(text, '/')
        THEN TRY_CAST(split_part(text, '/', 2) AS INTEGER) + CASE WHEN contains(text, ':') THEN 0 ELSE 96 END
        ELSE 128 END""",
    "ip6(expanded)": """CASE WHEN expanded <> '' THEN array_to_string([['0000', '0001', '0010', '0011', '0100',
        '0101', '0110', '0111', '1000', '1001', '1010', '1011', '1100', '1101', '1110', '1111']
        [strpos('0123456789abcdef', c)] FOR c IN string_split(replace(lower(expanded), ':', ''), '')], '') END""",
    "ip6_compare(a, x, b, y, most)": """CASE
        WHEN left(lab_ip6(x), least(most, lab_ip6_bits(a, x), lab_ip6_bits(b, y)))
            < left(lab_ip6(y), least(most, lab_ip6_bits(a, x), lab_ip6_bits(b, y))) THEN -1::BIGINT
        WHEN left(lab_ip6(x), least(most, lab_ip6_bits(a, x), lab_ip6_bits(b, y)))
            > left(lab_ip6(y), least(most, lab_ip6_bits(a, x), lab_ip6_bits(b, y))) THEN 1
        WHEN lab_ip6(x) IS NOT NULL AND lab_ip6(y) IS NOT NULL THEN 0 END""",
    # Dynamic values
    "json(x)": "CAST(to_json(x) AS JSON)",
    "items(x)": "CASE WHEN json_type(lab_json(x)) = 'ARRAY' THEN CAST(lab_json(x) AS JSON[]) END",
    "texts(x)": "[v ->> '$' FOR v IN lab_items(x)]",
    "absent(x)": "(x IS NULL OR json_type(lab_json(x)) = 'NULL')",
    "present(x)": "NOT lab_absent(x)",
    "member(bag, key)": """json_extract(bag, '$."' || replace(key, '"', '\\"') || '"')""",
    "part_at(x, place)": """CASE WHEN json_type(lab_json(place)) = 'VARCHAR' THEN lab_member(x, lab_json(place) ->> '$')
        ELSE json_extract(x, '$[' || CASE WHEN (lab_json(place) ->> '$') LIKE '-%'
        THEN '#' || (lab_json(place) ->> '$') ELSE lab_json(place) ->> '$' END || ']') END""",
    "number(x)": "CASE WHEN json_type(x) IN ('BIGINT', 'UBIGINT', 'DOUBLE') THEN TRY_CAST(x ->> '$' AS DOUBLE) END",
    "truth(x)": "CASE WHEN json_type(x) = 'BOOLEAN' THEN (x ->> '$') = 'true' END",
    "bag_of(keys, vals)": """CAST('{' || array_to_string([CAST(to_json(k) AS VARCHAR) || ':' || coalesce(
        CAST(vals[i] AS VARCHAR), 'null') FOR k, i IN keys], ',') || '}' AS JSON)""",
    "bag_keys(x)": "CASE WHEN json_type(x) = 'OBJECT' THEN to_json(json_keys(x)) END",
    "bag_has_key(x, key)": """CASE WHEN json_type(x) = 'OBJECT' THEN
        CASE WHEN starts_with(key, '$') THEN json_exists(x, key) ELSE list_contains(json_keys(x), key) END END""",
    "bag_merge(a, b)": """CASE WHEN json_type(a) = 'OBJECT' AND json_type(b) = 'OBJECT' THEN lab_bag_of(
        list_concat(json_keys(a), [k FOR k IN json_keys(b) IF NOT list_contains(json_keys(a), k)]),
        list_concat([lab_member(a, k) FOR k IN json_keys(a)],
            [lab_member(b, k) FOR k IN json_keys(b) IF NOT list_contains(json_keys(a), k)]))
        WHEN json_type(a) = 'OBJECT' THEN a WHEN json_type(b) = 'OBJECT' THEN b END""",
    "bag_remove_keys(x, keys)": """CASE WHEN json_type(x) = 'OBJECT' THEN lab_bag_of(
        [k FOR k IN json_keys(x) IF NOT list_contains(lab_texts(keys), k)],
        [lab_member(x, k) FOR k IN json_keys(x) IF NOT list_contains(lab_texts(keys), k)]) END""",
    "bag_set_key(x, key, v)": """CASE WHEN json_type(x) = 'OBJECT' THEN lab_bag_of(
        list_concat([k FOR k IN json_keys(x) IF k <> key], [key]),
        list_concat([lab_member(x, k) FOR k IN json_keys(x) IF k <> key], [lab_json(v)])) END""",
    "bag_zip(keys, vals)": """CASE WHEN lab_items(keys) IS NOT NULL THEN lab_bag_of(lab_texts(keys), lab_items(vals)) END""",
    "unique(x)": "[v FOR v, i IN x IF list_position(x, v) = i]",
    "set_union(a, b)": "to_json(lab_unique(list_concat(lab_items(a), lab_items(b))))",
    "set_intersect(a, b)": "to_json([v FOR v IN lab_unique(lab_items(a)) IF list_contains(lab_items(b), v)])",
    "set_difference(a, b)": "to_json([v FOR v IN lab_unique(lab_items(a)) IF NOT list_contains(lab_items(b), v)])",
    "array_iff(c, a, b)": """to_json([CASE WHEN (v ->> '$') IN ('true') OR lab_number(v) <> 0
        THEN CASE WHEN json_type(lab_json(a)) = 'ARRAY' THEN lab_items(a)[i] ELSE lab_json(a) END
        ELSE CASE WHEN json_type(lab_json(b)) = 'ARRAY' THEN lab_items(b)[i] ELSE lab_json(b) END END
        FOR v, i IN lab_items(c)])""",
    "array_rotate_left(x, n)": """to_json([lab_items(x)[(((i - 1 + n) % len(lab_items(x)) + len(lab_items(x)))
        % len(lab_items(x)) + 1)::BIGINT] FOR v, i IN lab_items(x)])""",
    "array_shift_left(x, n, fill)": """to_json([CASE WHEN i + n BETWEEN 1 AND len(lab_items(x))
        THEN lab_items(x)[(i + n)::BIGINT] ELSE lab_json(fill) END FOR v, i IN lab_items(x)])""",
    "set_equals(a, b)": """list_has_all(lab_items(a), lab_items(b)) AND list_has_all(lab_items(b), lab_items(a))""",
    "jaccard_index(a, b)": """len([v FOR v IN lab_unique(lab_items(a)) IF list_contains(lab_items(b), v)])
        / len(lab_unique(list_concat(lab_items(a), lab_items(b))))::DOUBLE""",
    "array_split_at(x, places)": """to_json([lab_items(x)[(coalesce(places[i - 1], 0) + 1)::BIGINT:
        coalesce(places[i], len(lab_items(x)))::BIGINT] FOR p, i IN list_concat(places, [NULL])])""",
    "array_split(x, place)": """lab_array_split_at(x, [CASE WHEN n < 0 THEN len(lab_items(x)) + n ELSE n END FOR n IN
        CASE WHEN json_type(lab_json(place)) = 'ARRAY' THEN CAST(lab_json(place) AS BIGINT[])
        ELSE [CAST(lab_json(place) AS BIGINT)] END])""",
    "repeat(v, n)": "CASE WHEN n >= 0 THEN to_json([lab_json(v) FOR i IN range(n)]) END",
    "numbers(a, b, step)": "CASE WHEN step <> 0 THEN to_json(generate_series(a, b, step)) END",
    "moments(a, b, step)": "to_json([lab_moment(t) FOR t IN generate_series(a, b, step)])",
    "moment(t)": "strftime(t, '%Y-%m-%dT%H:%M:%S.%f') || '0Z'",
    "split(s, d)": "to_json(string_split(s, d))",
    "split_at(s, d, i)": """to_json(CASE WHEN i + 1 BETWEEN 1 AND len(string_split(s, d))
        THEN [string_split(s, d)[i + 1]] ELSE [] END)""",
    "extractjson(path, text)": "json_extract(TRY_CAST(text AS JSON), path)",
    # Text
    "string_size(s)": "octet_length(encode(s))::BIGINT",
    "strcmp(a, b)": "CASE WHEN a < b THEN -1::BIGINT WHEN a > b THEN 1 ELSE 0 END",
    "translate(source, target, s)": """array_to_string([CASE WHEN strpos(source, c) = 0 THEN c
        WHEN target = '' THEN '' ELSE substr(target, least(strpos(source, c), length(target)), 1) END
        FOR c IN string_split(s, '')], '')""",
    "make_string(points)": "array_to_string([chr(CAST(v AS INTEGER)) FOR v IN lab_items(points)], '')",
    "unicode_codepoints_from_string(s)": "to_json([unicode(c) FOR c IN string_split(s, '')])",
    "base64_encode_fromarray(x)": """to_base64(unhex(array_to_string(
        [lpad(hex(CAST(v AS INTEGER)), 2, '0') FOR v IN lab_items(x)], '')))""",
    "strrep_with(v, n, d)": "array_to_string([v FOR i IN range(n)], d)",
    "isutf8(s)": "s IS NOT NULL OR s IS NULL",
    # The rules of the Windows shell: what is quoted is one argument, a backslash counts only before a quote
    "argument_step(s, c)": """CASE
        WHEN c = chr(92) THEN {'args': s.args, 'word': s.word, 'q': s.q, 'b': s.b + 1, 'any': true, 'c': ''}
        WHEN c = '"' AND s.b % 2 = 1 THEN {'args': s.args, 'word': s.word || repeat(chr(92), s.b // 2) || '"', 'q': s.q,
            'b': 0::BIGINT, 'any': true, 'c': ''}
        WHEN c = '"' THEN {'args': s.args, 'word': s.word || repeat(chr(92), s.b // 2), 'q': NOT s.q, 'b': 0::BIGINT,
            'any': true, 'c': ''}
        WHEN c IN (' ', chr(9)) AND NOT s.q THEN {'args': CASE WHEN s.any
            THEN list_append(s.args, s.word || repeat(chr(92), s.b)) ELSE s.args END, 'word': '', 'q': false,
            'b': 0::BIGINT, 'any': false, 'c': ''}
        ELSE {'args': s.args, 'word': s.word || repeat(chr(92), s.b) || c, 'q': s.q, 'b': 0::BIGINT, 'any': true, 'c': ''}
        END""",
    "arguments(line)": """list_reduce([{'args': CAST([] AS VARCHAR[]), 'word': '', 'q': false, 'b': 0::BIGINT,
        'any': false, 'c': ch} FOR ch IN list_concat([''], string_split(line, ''), [' '])],
        lambda s, x: lab_argument_step(s, x.c))""",
    "parse_command_line(line)": """to_json(CASE WHEN lab_arguments(line).any
        THEN list_append(lab_arguments(line).args, lab_arguments(line).word) ELSE lab_arguments(line).args END)""",
    "isascii(s)": "NOT regexp_matches(s, '[^\\x00-\\x7F]')",
    "part(s, start)": """CASE WHEN start >= 0 THEN substr(s, start + 1)
        WHEN -start > length(s) THEN '' ELSE right(s, -start) END""",
    "substring_2(s, start)": "lab_part(coalesce(s, ''), start)",
    "substring_3(s, start, count)": "left(lab_part(coalesce(s, ''), start), greatest(count, 0))",
    "indexof_from(s, sub, start)": """CASE WHEN strpos(substr(s, start + 1), sub) = 0 THEN -1::BIGINT
        ELSE strpos(substr(s, start + 1), sub) + start - 1 END""",
    "has_any_index(s, terms)": """coalesce(list_position([regexp_matches(s,
        '(?i)(^|[^\\p{L}\\p{N}])' || regexp_escape(t) || '($|[^\\p{L}\\p{N}])') FOR t IN lab_texts(terms)], true) - 1,
        -1)::BIGINT""",
    "replace_strings(s, lookups, rewrites)": """list_reduce(list_concat([{'f': '', 't': s}],
        [{'f': f, 't': lab_texts(rewrites)[i]} FOR f, i IN lab_texts(lookups)]),
        lambda x, y: {'f': '', 't': replace(x.t, y.f, y.t)}).t""",
    "base64_decode_toarray(s)": """to_json([('0x' || substr(hex(from_base64(s)), 2 * i + 1, 2))::INTEGER
        FOR i IN range(octet_length(from_base64(s)))])""",
    "url_decode(s)": "url_decode(s)",
    "tohex(n)": "lower(hex(n))",
    "parse_path(p)": """json_object('Scheme', lab_path_scheme(p), 'RootPath', lab_path_root(lab_path_rest(p)),
        'DirectoryPath', lab_path_directory(lab_path_rest(p)),
        'DirectoryName', regexp_extract(lab_path_directory(lab_path_rest(p)), '[^\\\\/:]*$'),
        'Filename', lab_path_file(lab_path_rest(p)),
        'Extension', regexp_extract(lab_path_file(lab_path_rest(p)), '\\.([^.]*)$', 1),
        'AlternateDataStreamName', regexp_extract(lab_path_last(lab_path_rest(p)), ':(.*)$', 1))""",
    "path_scheme(p)": "regexp_extract(p, '^([A-Za-z][A-Za-z0-9+.-]*)://', 1)",
    "path_rest(p)": "regexp_replace(p, '^[A-Za-z][A-Za-z0-9+.-]*://', '')",
    "path_root(p)": "regexp_extract(p, '^(?:\\\\\\\\[?.]\\\\)?([A-Za-z]:)', 1)",
    "path_last(p)": "regexp_extract(p, '[^\\\\/]*$')",
    "path_file(p)": "split_part(lab_path_last(p), ':', 1)",
    "path_directory(p)": "regexp_extract(p, '^(.*)[\\\\/][^\\\\/]*$', 1)",
    # Numbers and time
    "span_ratio(a, b)": "epoch_us(a)::DOUBLE / epoch_us(b)",
    "span_share(a, n)": "to_microseconds((epoch_us(a) / n)::BIGINT)",
    "span_rest(a, b)": "to_microseconds(epoch_us(a) % epoch_us(b))",
    "bin_span(v, step)": "to_microseconds((epoch_us(step) * floor(epoch_us(v) / epoch_us(step)))::BIGINT)",
    "bin_at_span(v, step, origin)": """origin + to_microseconds((epoch_us(step)
        * floor((epoch_us(v) - epoch_us(origin)) / epoch_us(step)))::BIGINT)""",
    "bin_at_number(v, step, origin)": "origin + floor((v - origin) / step) * step",
    "bin_at_moment(v, step, origin)": """origin + to_microseconds((epoch_us(step)
        * floor((epoch_us(v) - epoch_us(origin)) / epoch_us(step)))::BIGINT)""",
    "span_part(t, unit, most, width)": """lpad(CAST((abs(epoch_us(t)) // unit) % most AS VARCHAR),
        greatest(width, length(CAST((abs(epoch_us(t)) // unit) % most AS VARCHAR)))::INTEGER, '0')""",
    "span_fraction(t, digits)": "left(lpad(CAST(abs(epoch_us(t)) % 1000000 * 10 AS VARCHAR), 7, '0'), digits)",
    "unixtime_seconds_todatetime(x)": "make_timestamp((x * 1000000)::BIGINT)",
    "unixtime_milliseconds_todatetime(x)": "make_timestamp((x * 1000)::BIGINT)",
    "unixtime_microseconds_todatetime(x)": "make_timestamp(x::BIGINT)",
    "unixtime_nanoseconds_todatetime(x)": "make_timestamp((x // 1000)::BIGINT)",
    "datetime_utc_to_local(t, zone)": "(t AT TIME ZONE 'UTC') AT TIME ZONE zone",
    "datetime_local_to_utc(t, zone)": "(t AT TIME ZONE zone) AT TIME ZONE 'UTC'",
    # Series: arrays of numbers
    "series_sum(x)": "list_sum([lab_number(v) FOR v IN lab_items(x)])",
    "series_fill_const(x, v)": """to_json([CASE WHEN json_type(e) = 'NULL' OR e IS NULL THEN lab_json(v)
        ELSE e END FOR e IN lab_items(x)])""",
    "series_dot_product(a, b)": "list_sum([lab_number(v) * lab_number(lab_items(b)[i]) FOR v, i IN lab_items(a)])",
    **{
        f"series_{word}(a, b)": (
            f"to_json([lab_number(v) {sign} lab_number(CASE WHEN json_type(lab_json(b)) = 'ARRAY' "
            "THEN lab_items(b)[i] ELSE lab_json(b) END) FOR v, i IN lab_items(a)])"
        )
        for word, sign in {
            "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "greater": ">", "less": "<",
            "greater_equals": ">=", "less_equals": "<=", "equals": "=", "not_equals": "<>",
        }.items()
    },
    **{
        f"series_{word}(a)": f"to_json([{word}(lab_number(v)) FOR v IN lab_items(a)])"
        for word in ("abs", "floor", "sign", "exp", "sin", "cos", "tan", "asin", "acos", "atan")
    },
    "series_ceiling(a)": "to_json([ceil(lab_number(v)) FOR v IN lab_items(a)])",
    "series_log(a)": "to_json([ln(lab_number(v)) FOR v IN lab_items(a)])",
    "series_pow(a, n)": "to_json([pow(lab_number(v), lab_number(lab_json(n))) FOR v IN lab_items(a)])",
    "series_product(x)": "list_product([lab_number(v) FOR v IN lab_items(x)])",
    "missing(v)": "(v IS NULL OR json_type(v) = 'NULL')",
    "series_fill_forward(x)": """to_json([coalesce([w FOR w IN lab_items(x)[1:i] IF NOT lab_missing(w)][-1], v)
        FOR v, i IN lab_items(x)])""",
    "series_fill_backward(x)": """to_json([coalesce([w FOR w IN lab_items(x)[i:len(lab_items(x))]
        IF NOT lab_missing(w)][1], v) FOR v, i IN lab_items(x)])""",
}  # fmt: skip
"""Macro with its parameters to its SQL."""

_WINDOWS: Mapping[str, str] = {
    "row_number": "(row_number() OVER () - 1 + {0})",
    "prev": "lag({0}, CAST({1} AS BIGINT)) OVER ()",
    "next": "lead({0}, CAST({1} AS BIGINT)) OVER ()",
    "prev_or": "lag({0}, CAST({1} AS BIGINT), {2}) OVER ()",
    "next_or": "lead({0}, CAST({1} AS BIGINT), {2}) OVER ()",
    "row_cumsum": "sum({0}) OVER (ROWS UNBOUNDED PRECEDING)",
    "row_number_since": "(row_number() OVER (PARTITION BY {1} ORDER BY {2}) - 1 + {0})",
    "row_cumsum_since": "sum({0}) OVER (PARTITION BY {1} ORDER BY {2} ROWS UNBOUNDED PRECEDING)",
    **{
        f"rank_{order}_{nulls}".lower(): f"row_number() OVER (PARTITION BY {{0}} ORDER BY {{1}} {order} NULLS {nulls})"
        for order in ("ASC", "DESC")
        for nulls in ("FIRST", "LAST")
    },
    # The translator tests a column's type at run time; these say that it is known
    "same": "{0}",
    "text_of_string": "coalesce({0}, '')",
    "text_of_number": "coalesce(CAST({0} AS VARCHAR), '')",
    "text_of_moment": "coalesce(strftime({0}, '%Y-%m-%dT%H:%M:%S.%f') || '0Z', '')",
    "text_of_bool": "CASE {0} WHEN true THEN 'True' WHEN false THEN 'False' ELSE '' END",
    "text_of_json": "coalesce(to_json({0}) ->> '$', '')",
    "strlen": "length(coalesce({0}, ''))",
    "tolower": "lower(coalesce({0}, ''))",
    "toupper": "upper(coalesce({0}, ''))",
    "isempty": "coalesce({0} = '', true)",
    "isnotempty": "coalesce({0} <> '', false)",
    "indexof_text": "(strpos(coalesce({0}, ''), {1}) - 1)",
    "rand": "random()",
    "rand_below": "CAST(floor(random() * {0}) AS BIGINT)",
    "abs_span": "CASE WHEN {0} < INTERVAL 0 SECOND THEN -{0} ELSE {0} END",
    "new_guid": "uuid()",
}
"""Functions over the rows as they are ordered, and those that differ from row to row."""

_ELEMENTS = "CASE WHEN json_type(lab_json({0})) = 'ARRAY' THEN CAST(lab_json({0}) AS JSON[]) ELSE [lab_json({0})] END"
_AGGREGATES: Mapping[str, tuple[str, str]] = {
    "set_of": (
        f"to_json(list_slice(coalesce(list_sort(list_distinct(flatten(list({_ELEMENTS})"
        " FILTER (WHERE {0} IS NOT NULL)))), []), 1, {1}))",
        "set",
    ),
    "set_of_if": (
        f"to_json(list_slice(coalesce(list_sort(list_distinct(flatten(list({_ELEMENTS}) FILTER (WHERE {{0}} IS NOT NULL"
        " AND {1})))), []), 1, {2}))",
        "set",
    ),
    "list": ("to_json(list_slice(coalesce(list({0}) FILTER (WHERE {0} IS NOT NULL), []), 1, {1}))", "list"),
    "list_if": ("to_json(list_slice(coalesce(list({0}) FILTER (WHERE {0} IS NOT NULL AND {1}), []), 1, {2}))", "list"),
    "list_with_nulls": ("to_json(coalesce(list({0}), []))", "list"),
    "take_anyif": ("any_value({0}) FILTER (WHERE {1})", ""),
    "maxif": ("max({0}) FILTER (WHERE {1})", "maxif"),
    "minif": ("min({0}) FILTER (WHERE {1})", "minif"),
    "count_distinct": ("count(DISTINCT {0})", "count_distinct"),
    "count_distinctif": ("count(DISTINCT {0}) FILTER (WHERE {1})", "count_distinctif"),
    "stdevp": ("coalesce(stddev_pop({0}), 0.0)", "stdevp"),
    "variancep": ("coalesce(var_pop({0}), 0.0)", "variancep"),
    "avg_span": ("to_microseconds(CAST(avg(epoch_us({0})) AS BIGINT))", "avg"),
    "avg_span_if": ("to_microseconds(CAST(avg(epoch_us({0})) FILTER (WHERE {1}) AS BIGINT))", "avgif"),
    "avg_moment": ("make_timestamp(CAST(avg(epoch_us({0})) AS BIGINT))", "avg"),
    "avg_moment_if": ("make_timestamp(CAST(avg(epoch_us({0})) FILTER (WHERE {1}) AS BIGINT))", "avgif"),
    "sum_span": ("to_microseconds(CAST(coalesce(sum(epoch_us({0})), 0) AS BIGINT))", "sum"),
    "sum_span_if": ("to_microseconds(CAST(coalesce(sum(epoch_us({0})) FILTER (WHERE {1}), 0) AS BIGINT))", "sumif"),
    "covariance": ("covar_samp({0}, {1})", "covariance"),
    "covarianceif": ("covar_samp({0}, {1}) FILTER (WHERE {2})", "covarianceif"),
    "covariancep": ("covar_pop({0}, {1})", "covariancep"),
    "covariancepif": ("covar_pop({0}, {1}) FILTER (WHERE {2})", "covariancepif"),
    "stdevpif": ("coalesce(stddev_pop({0}) FILTER (WHERE {1}), 0.0)", "stdevpif"),
    "variancepif": ("coalesce(var_pop({0}) FILTER (WHERE {1}), 0.0)", "variancepif"),
    "percentileif": ("quantile_disc({0}, {1} / 100.0) FILTER (WHERE {2})", "percentileif"),
    "binary_all_and": ("bit_and({0})", "binary_all_and"),
    "binary_all_or": ("bit_or({0})", "binary_all_or"),
    "binary_all_xor": ("bit_xor({0})", "binary_all_xor"),
    "bag": (
        "coalesce(list_reduce(list(lab_json({0})) FILTER (WHERE json_type(lab_json({0})) = 'OBJECT'),"
        " lambda a, b: lab_bag_merge(a, b)), CAST('{{}}' AS JSON))",
        "bag",
    ),
    "bag_if": (
        "coalesce(list_reduce(list(lab_json({0})) FILTER (WHERE json_type(lab_json({0})) = 'OBJECT' AND {1}),"
        " lambda a, b: lab_bag_merge(a, b)), CAST('{{}}' AS JSON))",
        "bag",
    ),
}
"""Aggregate to its SQL over its arguments, and the prefix of its column's name."""

NO_LIMIT = 1_048_576
"""Elements that make_list() and make_set() keep where no number is given."""
_NAMED = re.compile(r"\blab_(\w+)\(")


@cache
def macros() -> Mapping[str, str]:
    """Macro name to the statement that makes it."""
    return {
        head.partition("(")[0]: f"CREATE OR REPLACE TEMP MACRO {PREFIX}{head} AS {body}"
        for head, body in MACROS.items()
    }


def macros_for(sql: str) -> list[str]:
    """The statements that make the macros of some SQL, those that others need first."""
    known: dict[str, None] = {}
    for name in _needed(sql):
        known.setdefault(name)
    return [macros()[name] for name in known]


def _needed(sql: str) -> Iterator[str]:
    for name in dict.fromkeys(_NAMED.findall(sql)):
        if name in macros():
            yield from _needed(MACROS_BODY[name])
            yield name


MACROS_BODY: Mapping[str, str] = {head.partition("(")[0]: body for head, body in MACROS.items()}
"""Macro name to its SQL."""


def parameters(name: str) -> int | None:
    """How many arguments a function of ours takes; None where there is no such function."""
    spec = SCALAR_FUNCTIONS.get(PREFIX + name)
    return spec.arities[0] if spec and spec.arities else None


def is_window(name: str) -> bool:
    """Whether a function of the registry looks at the rows around it."""
    return name.startswith(PREFIX) and " OVER (" in _WINDOWS.get(name.removeprefix(PREFIX), "")


def is_own_aggregate(name: str) -> bool:
    """Whether a function of the registry is an aggregate of this module."""
    return name.startswith(PREFIX) and name.removeprefix(PREFIX) in _AGGREGATES


@cache
def registered() -> None:
    """Let duckdb-kql know the functions of this module."""
    for head in MACROS:
        name, _, rest = head.rstrip(")").partition("(")
        count = rest.count(",") + 1
        places = ", ".join(f"{{{index}}}" for index in range(count))
        SCALAR_FUNCTIONS[PREFIX + name] = FunctionSpec(PREFIX + name, "template", f"{PREFIX}{name}({places})", (count,))
    for name, template in _WINDOWS.items():
        count = len(set(re.findall(r"\{\d\}", template)))
        SCALAR_FUNCTIONS[PREFIX + name] = FunctionSpec(PREFIX + name, "template", template, (count,))
    SCALAR_FUNCTIONS[PREFIX + "lines"] = FunctionSpec(PREFIX + "lines", "template", "concat_ws(chr(10), {})", ())
    SCALAR_FUNCTIONS[PREFIX + "strcat"] = FunctionSpec(PREFIX + "strcat", "template", "concat({})", ())
    for name, (template, prefix) in _AGGREGATES.items():
        full = f"{PREFIX}{name}"
        AGGREGATE_FUNCTIONS[full] = AggregateSpec(full, template, (), name_prefix=prefix)

"""Templates in Jinja: with what real ones use, and hostile ones."""
# ruff: noqa: E501

from __future__ import annotations

CHATML = """{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\n' + message.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""

TEMPLATES = {
    "chatml": CHATML,
    "blocks are trimmed": """
        {% for message in messages %}
            {# a comment #}
        {% if not loop.first %}
{{ message.role|upper }}: {{ message.content|trim }}
        {% endif %}
        {% endfor %}
""",
    "namespace": "{% set ns = namespace(text='', n=0) %}{% for m in messages %}{% set ns.text = ns.text ~"
    " loop.index ~ m.content %}{% set ns.n = ns.n + m.content|length * 2 %}{% endfor %}{{ ns.text }}{{ ns.n }}",
    "tools": "{% if tools is not none %}{{ tools|tojson }}{{ tools|tojson(indent=4) }}{% endif %}"
    "{% if documents is none %}none{% endif %}",
    "filters": "{{ messages|map(attribute='role')|join(', ') }} {{ messages|selectattr('role', 'equalto', "
    "'user')|list|length }} {{ messages[0].content|indent(2, true) }} {{ 'a-b'|replace('-', '+')|title }} "
    "{{ [3, 1, 2]|sort|last }} {{ {'b': 1, 'a': 2}|dictsort|first|first }} {{ 2.567|round(1) }} "
    "{{ '%s/%03d'|format('x', 7) }} {{ [1, 2]|sum }} {{ {'k': 'v'}|items|list }} {{ nothing|default('d') }}",
    "methods": "{{ messages[2].content.split('</think>')[-1].lstrip('\\n') }} {{ 'ab'.startswith('a') }} "
    "{{ {'a': 1}.get('b', 'c') }}{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %} "
    "{{ '{}-{:>4}'.format('x', 1) }} {{ ', '.join(['a', 'b']) }} {{ 'aXb'.replace('X', '--') }}",
    "macros": "{% macro show(m, mark='>') %}{{ mark }}{{ m.role }}{{ caller() if caller else '' }}{% endmacro %}"
    "{% for m in messages %}{{ show(m) }}{% endfor %}{% call show(messages[0], mark='*') %}!{% endcall %}",
    "loop controls": "{% for m in messages %}{% if loop.index == 2 %}{% continue %}{% endif %}"
    "{% if loop.last %}{% break %}{% endif %}{{ loop.revindex }}{{ loop.nextitem.role }}{% endfor %}",
    "recursion": "{% for x in [[1, [2, [3]]]] recursive %}{% if x is iterable %}({{ loop(x) }})"
    "{% else %}{{ x }}{% endif %}{% endfor %}",
    "loop filter": "{% for m in messages if m.role == 'user' %}{{ m.content }}|{% else %}no{% endfor %}",
    "generation": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
    "{% endgeneration %}{% endif %}{% endfor %}",
    "operators": "{{ '=' * 5 }}{{ 7 // 2 }}{{ 2 ** 10 }}{{ 7 % 4 }}{{ [1] + [2] }}{{ 'a' ~ 1 }}{{ '%d%%' % 5 }}"
    "{{ messages[1:]|length }}{{ messages[::-1][0].role }}{{ 'b' in 'abc' }}{{ 1 if false }}",
    "set block": "{% set text %}{% for m in messages %}{{ m.role }},{% endfor %}{% endset %}{{ text|upper }}",
    "undefined": "{{ nothing }}{{ messages[9] }}{{ messages[0].nothing }}{{ nothing is defined }}",
    "special tokens": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}",
    "variables": "{{ enable_thinking }}{{ dict(a=1) }}{% if add_generation_prompt %}go{% endif %}",
}  # fmt: skip

# What must be refused, and a part of the message.
REACHING = {
    "{{ ''.__class__ }}": "reaches for the attribute __class__",
    "{{ ''['__class__'] }}": "reaches for the attribute __class__",
    "{{ ''|attr('__class__') }}": "reaches for the attribute __class__",
    "{{ '{0.__class__}'.format('') }}": "reaches for the attribute __class__",
    "{{ ['']|map(attribute='__class__')|list }}": "reaches for the attribute __class__",
    "{{ cycler.__init__.__globals__ }}": "reaches for the attribute __init__",
    "{{ self._TemplateReference__context }}": "reaches for the attribute _Template",
    "{{ messages.append(1) }}": "append.* is unsafe",
    "{{ messages[0].update(a=1) }}": "update.* is unsafe",
    "{{ namespace(__call__=1) }}": "sets the attribute __call__",
    "{% set ns = namespace() %}{% set ns.__html__ = 1 %}": "sets the attribute __html__",
    "{{ 'x'.translate({120: 'y'}) }}": "may not call str.translate",
    "{{ 'x'.encode() }}": "may not call str.encode",
    "{% include 'other' %}": "no loader",
    "{{ lipsum() }}": "'lipsum' is undefined",
    "{% for %}": "line 1: TemplateSyntaxError",
    "{{ 'x'|nothing }}": "No filter named 'nothing'",
    "{{ nothing() }}": "'nothing' is undefined",
    "{{ 1 / 0 }}": "ZeroDivisionError",
}

# What would take all time or memory.
ENDLESS = {
    "nested loops": "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
    "loops that reject": "{% for i in range(99999) %}{% for j in range(99999) if false %}{% endfor %}{% endfor %}",
    "long range": "{{ range(10**9)|list }}",
    "times": "{{ 'x' * 10**9 }}",
    "list times": "{{ [1, 2] * 10**9 }}",
    "power": "{{ 10**1000000000 }}",
    "squares": "{% set ns = namespace(x=3) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "percent star": "{{ '%*d' % (1000000000, 1) }}",
    "percent brackets": "{{ '%(a(b))1000000000d' % {'a(b)': 1} }}",
    "percent precision": "{{ '%.1000000000f' % 1 }}",
    "format": "{{ '{:>1000000000}'.format(1) }}",
    "format by a value": "{{ '{:>{}}'.format(1, 1000000000) }}",
    "format again and again": "{{ ('{0}' * 99999).format('x' * 99999) }}",
    "format filter": "{{ '%1000000000d'|format(1) }}",
    "center": "{{ 'x'|center(1000000000) }}",
    "center method": "{{ 'x'.center(1000000000) }}",
    "ljust method": "{{ 'x'.ljust(1000000000) }}",
    "indent": "{{ ('x\n' * 9999)|indent(1000000) }}",
    "join": "{{ range(99999)|join('x' * 99999) }}",
    "join method": "{{ ('x' * 99999).join(range(99999)|map('string')) }}",
    "replace": "{{ ('x' * 99999)|replace('x', 'y' * 99999) }}",
    "replace method": "{{ ('x' * 99999).replace('x', 'y' * 99999) }}",
    "round": "{{ 5|round(-1000000000) }}",
    "json": "{{ [1]|tojson(indent=1000000000) }}",
    "sum": "{{ ([[1] * 999] * 99)|sum(start=[]) }}",
    "plus": "{% set ns = namespace(x='x') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "tilde": "{% set ns = namespace(x='x') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "lists of lists": "{% set ns = namespace(x=1) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}"
    "{% endfor %}{{ ns.x }}",
    "tuples as keys": "{% set ns = namespace(x=1) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}"
    "{% endfor %}{{ {ns.x: 1} }}",
    "dicts of dicts": "{% set ns = namespace(x=1) %}{% for i in range(60) %}{% set ns.x = dict(a=ns.x, b=ns.x) %}"
    "{% endfor %}{{ ns.x|tojson }}",
    "views": "{% set ns = namespace(x=1) %}{% for i in range(60) %}{% set ns.x = {1: ns.x, 2: ns.x}.values() %}"
    "{% endfor %}{{ ns.x }}",
    "deep": "{% set ns = namespace(x=1) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
    "recursive macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "macros that double": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(50) }}",
    "recursive loop": "{% for i in [1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
    "text": "{% for i in range(99999) %}" + "y" * 9999 + "{% endfor %}",
    "text in a set block": "{% set x %}{% for i in range(99999) %}" + "y" * 9999 + "{% endfor %}{% endset %}",
    "copies": "{% set ns = namespace(x=[]) %}{% set y = 'y' * 99999 %}{% for i in range(9999) %}"
    "{% set ns.x = ns.x + [y[1:]] %}{% endfor %}",
    "nested brackets": "{{ " + "(" * 9999 + " }}",
    "nested blocks": "{% if x %}" * 999,
    "long source": "x" * 300_000,
}  # fmt: skip

# No step of it is large, but each takes long.
SLOW = (
    "{% set a = range(99999)|list %}{% set b = range(99999)|list %}"
    "{% for i in range(99999) %}{{ a == b }}{% endfor %}"
)

# SPDX-License-Identifier: MIT
"""
C, as far as tools/check must understand it.

Comments and strings are blanked, lines kept. What remains is cut at file
level into parts: a function, a declaration, a type. A brace in column 0
always closes a part, so that an #if around half a function does no harm.
"""

import re

TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DIRECTIVE = re.compile(r'^[ \t]*#(?:\\\n|[^\n])*', re.M)
INCLUDE = re.compile(r'\s*#\s*include\s*(<[^>]+>|"[^"]+")')
CONDITION = re.compile(r'\s*#\s*(?:if|ifdef|ifndef|elif)\b(.*)')
MACRO = re.compile(r'\s*#\s*define\s+(\w+)')
WORD_CALLED = re.compile(r'\b([A-Za-z_]\w*)\s*\(')
NO_NAME = re.compile(r'__\w+$|[A-Z][A-Z0-9_]*$|_Static_assert$|_Alignas$')


def blank(match):
    return re.sub(r'[^\n]', ' ', match[0])


def blank_token(match):
    """A comment becomes spaces, a string an empty string of spaces."""
    if match[0][0] == '/':
        return blank(match)
    return match[0][0] + ' ' * (len(match[0]) - 2) + match[0][0]


def outermost(text):
    """The text without what is inside of parentheses and brackets."""
    depth = 0
    kept = []
    for char in text:
        if char in ')]':
            depth -= 1
        if depth == 0:
            kept.append(char)
        if char in '([':
            depth += 1
    return ''.join(kept)


class Part:
    """One thing at file level, from its first line to its last."""

    def __init__(self, text, first, last, is_function):
        self.first = first
        self.last = last
        self.is_function = is_function
        head = outermost(text)
        self.is_static = bool(re.match(r'.*\bstatic\b', head, re.S))
        self.is_type = bool(re.match(r'\s*(typedef|struct|union|enum)\b'
                                     r'(?![^={]*\()(?![^;{]*=)', head))
        names = [name for name in WORD_CALLED.findall(head.split('=')[0])
                 if not NO_NAME.match(name)]
        self.is_callable = bool(names) and not head.lstrip().startswith(
            'typedef') and not re.match(r'[^(]*=', head)
        self.name = self.find_name(head, names)

    def find_name(self, head, names):
        """The name it brings into the program; '' for a struct or enum."""
        if self.is_callable:
            return names[0]
        if self.is_type and not re.match(r'\s*typedef', head):
            trailing = re.search(r'\}\s*(\w+)', head)
            return trailing[1] if trailing else ''
        if re.match(r'\s*_Static_assert', head):
            return ''
        pointer = re.match(r'\s*typedef\b.*\(', head, re.S)
        if pointer:
            return ''
        before = re.split(r'=|\[|__attribute__', head)[0]
        words = re.findall(r'\w+', before)
        return words[-1] if len(words) > 1 else ''


class Parsed:
    """A C file without its comments and strings, and cut into parts."""

    def __init__(self, text):
        plain = TOKEN.sub(blank_token, text)
        self.includes = []
        self.conditions = []
        self.macros = []
        code_lines = plain.split('\n')
        for number, line in enumerate(text.split('\n'), 1):
            if '#' not in code_lines[number - 1]:
                continue
            include = INCLUDE.match(line)
            if include:
                self.includes.append((number, include[1]))
            condition = CONDITION.match(code_lines[number - 1])
            if condition:
                self.conditions.append((number, condition[1]))
            macro = MACRO.match(line)
            if macro:
                self.macros.append((number, macro[1]))
        self.code = re.sub(r'(?m)^\s*#\s*include\b.*', blank, plain)
        bare = DIRECTIVE.sub(blank, plain)
        bare = re.sub(r'extern\s+" *"\s*\{', blank, bare)
        self.parts = list(cut(bare))


def cut(code):
    """Yields the parts of code without directives, comments and strings."""
    depth = 0
    kept = []
    first = 0
    line = 1
    for at, char in enumerate(code):
        column_zero = at == 0 or code[at - 1] == '\n'
        line += char == '\n'
        if char == '}':
            depth = 0 if column_zero else max(depth - 1, 0)
        if depth == 0 and not (char.isspace() and not kept):
            first = first if kept else line
            kept.append(char)
        if char == '{':
            depth += 1
        text = ''.join(kept) if depth == 0 and char in ';}' else ''
        body = char == '}' and is_function_head(text)
        if text and (body or char == ';' or text == '}'):
            if text not in (';', '}'):
                yield Part(text, first, line, body)
            kept = []


def is_function_head(text):
    head = outermost(text.split('{')[0])
    return '(' in head and '=' not in head and 'typedef' not in head

"""Just enough of C to judge its style: comments and strings blanked out, line for line, and where
functions begin and end. It relies on clang-format: a function's braces stand in column 0."""
import re

_TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)"""
    r"""|(?P<include>^[ \t]*\#[ \t]*include[^\n]*)"""
    r"""|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""",
    re.DOTALL | re.MULTILINE)


def code_only(text):
    """`text` with comments and the insides of literals as blanks; line numbers stay."""
    def blank(match):
        found = match.group(0)
        if match.lastgroup == "include":
            return found
        if match.lastgroup == "string":
            return found[0] + " " * (len(found) - 2) + found[-1]
        return re.sub(r"[^\n]", " ", found)
    return _TOKEN.sub(blank, text)


def functions(lines):
    """(first, last) line numbers, from 1, of each brace pair in column 0."""
    first = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            first = number
        elif line.startswith("}") and first is not None:
            yield first, number
            first = None


def function_name(lines, first):
    """Name of the function whose brace opens on line `first`: before the first parenthesis of the
    nearest line above that starts in column 0."""
    for line in reversed(lines[:first - 1]):
        if line and not line[0].isspace():
            match = re.search(r"(\w+)\s*\(", line)
            return match.group(1) if match else "?"
    return "?"

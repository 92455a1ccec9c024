# SPDX-License-Identifier: MIT
"""
Mutant schemata: C whose every place that can be changed asks at run time whether it is the one that is (schema.h).

One translation unit is parsed with libclang.  Its tree says what is a condition, a statement, a comparison; its tokens say where the
constants are.  All changes are insertions around a range of the text (Wrap), so those of an expression and of its parts
stand in each other, and one build holds every mutant.

Ragel's C is rewritten too, but only what #line says to be ours: the actions, which it repeats at each transition.  A
mutant's name has the line of the .rl file, so all copies of an action are changed together.
"""
import bisect
import hashlib
import os
import re
import sys

import clang.cindex as clang

sys.setrecursionlimit(100000)  # Ragel's labels stand in each other

K = clang.CursorKind
T = clang.TypeKind

NEIGHBOUR = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
SWAPPED = {"+": "-", "-": "+", "&": "|", "|": "&", "<<": ">>", ">>": "<<", "*": "+", "%": "/", "/": "*"}
SWAPPED_STORE = {op + "=": other + "=" for op, other in SWAPPED.items()}
STEPS = {"++": "--", "--": "++"}
WHOLE = {T.BOOL, T.CHAR_U, T.UCHAR, T.USHORT, T.UINT, T.ULONG, T.ULONGLONG, T.CHAR_S, T.SCHAR, T.SHORT, T.INT, T.LONG, T.LONGLONG,
         T.ENUM}
NUMBER = re.compile(r"0[xX][0-9a-fA-F]+[uUlL]*$|[0-9]+[uUlL]*$|'(\\.|\\x[0-9a-fA-F]+|[^'\\])'$")
GENERATED = re.compile(r"\b(_widec|_out|cs)\b|\+\+p\b|\bp(\+\+|--)|\(\*p\)|\bgoto\b")
CONDITION = re.compile(r"[^;{}]*?(?=\)\s*_widec\b)")  # what an action says that is a condition: the rest of the `if` is Ragel's
STATE = re.compile(r"\bcs\s*=\s*\Z")
AT_END = re.compile(r"\s*\)\s*goto _test_eof")
OURS = r"(^|/)(proto|impl|spec|gen|systematic)/"  # whose macros and enumerators are changed; the last is check-rewrite's
OPAQUE = ("sizeof", "offsetof", "_Alignof", "_Alignas", "_Static_assert", "__typeof__", "__attribute__", "SCMP_SYS")


class Mutant:
    """number: its number in the build; key: its name, as long as its function does not change it; text: a sum of that function."""

    def __init__(self, number, file, function, line, kind, old, new, nth, text):
        self.number, self.file, self.function, self.line, self.kind, self.old, self.new = number, file, function, line, kind, old, new
        self.text = text
        self.key = " | ".join((file, function, kind, old + " -> " + new)) + (" | %d" % nth if nth > 1 else "")


class Book:
    """All mutants of a build; the same place in two copies has one number."""

    def __init__(self):
        self.mutants, self.numbers = [], {}

    def number(self, *words):
        mutant = Mutant(len(self.mutants), *words)
        if mutant.key not in self.numbers:
            self.numbers[mutant.key] = mutant.number
            self.mutants.append(mutant)
        return self.numbers[mutant.key]


def short(text):
    return re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", text, flags=re.S)).strip()


class Lines:
    """Where a part of the text stands for people, and whether it is hand-written: #line."""

    mark = re.compile(r'^#line (\d+) "([^"]*)"$', re.M)

    def __init__(self, text, name):
        self.text, self.marks = text, [(0, 1, name)]
        self.generated = name.endswith((".c", ".h")) and self.mark.search(text) is not None
        for found in self.mark.finditer(text):
            self.marks.append((found.end() + 1, int(found[1]), found[2]))
        self.parts = list(self.hand_written())
        self.begins = [part[0] for part in self.parts]
        self.mark_begins = [mark[0] for mark in self.marks]

    def at(self, offset):
        begin, line, name = self.marks[bisect.bisect_right(self.mark_begins, offset) - 1]
        return name, line + self.text.count("\n", begin, offset)

    def hand_written(self):
        """(begin, end): an action's block, an action's condition, or all up to the next mark."""
        ends = [mark[0] for mark in self.marks[1:]] + [len(self.text)]
        for (begin, _, name), end in zip(self.marks, ends):
            if self.generated and not name.endswith(".rl"):
                continue
            blank = re.match(r"\s*", self.text[begin:end]).end()
            condition = CONDITION.match(self.text, begin, end)
            if self.generated and self.text[begin + blank] == "{":
                end = self.block_end(begin + blank)
            elif self.generated and condition:
                end = condition.end()
            yield begin, end

    def is_of_action(self, part):
        """Such a part stands in the C at each transition."""
        begin, end = self.parts[part]
        return self.generated and (self.text[begin:end].lstrip()[:1] == "{" or self.text[end:end + 1] == ")")

    def block_end(self, at):
        depth = 0
        for i in range(at, len(self.text)):
            depth += {"{": 1, "}": -1}.get(self.text[i], 0)
            if depth == 0:
                return i + 1
        return len(self.text)

    def part_of(self, begin, end):
        """The number of the part that holds the range, or None."""
        i = bisect.bisect_right(self.begins, begin) - 1
        return i if i >= 0 and end <= self.parts[i][1] else None


class Unit:
    """One file of one translation unit, on its way to be rewritten."""

    def __init__(self, path, name, book, arguments, whole_of=None):
        """path: the file; name: what people call it; whole_of: the .c that is parsed, if the file is a header."""
        index = clang.Index.create()
        self.path, self.name, self.book = path, name, book
        self.unit = index.parse(whole_of or path, args=arguments, options=clang.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
        errors = [str(d) for d in self.unit.diagnostics if d.severity >= clang.Diagnostic.Error]
        if errors:
            raise SystemExit("mutate: %s can not be parsed: %s" % (path, errors[0]))
        with open(path, "rb") as file:
            self.text = file.read().decode("latin-1")  # offsets are of octets
        self.lines = Lines(self.text, name)
        self.wraps, self.replaced, self.closed, self.counts = [], [], [], {}
        self.function, self.barred, self.tables, self.whole_conditions, self.removed = "", [], [], set(), set()
        self.actions = self.names_of_actions()
        file = self.unit.get_file(path)
        whole = clang.SourceRange.from_locations(clang.SourceLocation.from_offset(self.unit, file, 0),
                                                 clang.SourceLocation.from_offset(self.unit, file, len(self.text)))
        self.tokens = [(t.extent.start.offset, t.extent.end.offset, t.spelling, t.kind)
                       for t in self.unit.get_tokens(extent=whole) if t.kind != clang.TokenKind.COMMENT]
        directives = [found.span() for found in re.finditer(r"^[ \t]*#(.|\\\n)*$", self.text, re.M)]
        self.tokens = self.without(self.tokens, directives)
        self.token_begins = [token[0] for token in self.tokens]
        self.macros()
        self.constants()

    @staticmethod
    def without(tokens, directives):
        kept, directives = [], iter(directives)
        begin, end = next(directives, (sys.maxsize, sys.maxsize))
        for token in tokens:
            while token[0] >= end:
                begin, end = next(directives, (sys.maxsize, sys.maxsize))
            if token[0] < begin:
                kept.append(token)
        return kept

    def names_of_actions(self):
        """Of Ragel's C: (line, name) of each action in the file that it is made of."""
        names = [mark[2] for mark in self.lines.marks if mark[2].endswith(".rl")]
        if not self.lines.generated or not names:
            return []
        with open(names[0], encoding="utf-8") as file:
            return [(number, found[1]) for number, line in enumerate(file, 1) for found in re.finditer(r"^\s*action (\w+)", line)]

    # ---- what the preprocessor did ----------------------------------------------------------------------------------

    def here(self, cursor):
        return cursor.location.file is not None and os.path.samefile(cursor.location.file.name, self.path)

    def macros(self):
        """calls: ranges of macros with arguments; simple: offsets of those without, which stand for a number."""
        numeric, self.calls, uses, self.zeros = {}, [], [], set()
        for cursor in self.unit.cursor.get_children():
            if cursor.kind == K.MACRO_DEFINITION:
                numeric[cursor.spelling] = self.is_number(cursor)
                if re.fullmatch(r"\(*0[xX]?0*[uUlL]*\)*", "".join(t.spelling for t in list(cursor.get_tokens())[1:])):
                    self.zeros.add(cursor.spelling)
            elif cursor.kind == K.MACRO_INSTANTIATION and self.here(cursor):
                begin, end = cursor.extent.start.offset, cursor.extent.end.offset
                (self.calls if end - begin > len(cursor.spelling) else uses).append((begin, end, cursor.spelling))
        self.simple = {begin for begin, _, name in uses if numeric.get(name)}
        self.calls = [call[:2] for call in self.calls]

    @staticmethod
    def is_number(cursor):
        if re.fullmatch(r"E[A-Z0-9]+", cursor.spelling):
            return True
        if cursor.location.file is None or not re.search(OURS, cursor.location.file.name):
            return False
        words = [t.spelling for t in cursor.get_tokens()][1:]
        return bool(words) and all(NUMBER.match(w) or re.fullmatch(r"[-+*/()|]|[A-Z][A-Z0-9_]+", w) for w in words)

    def constants(self):
        """The names of all enumerators of ours, with their values."""
        self.enumerators = {}
        for cursor in self.unit.cursor.get_children():
            if cursor.kind == K.ENUM_DECL and cursor.location.file and re.search(OURS, cursor.location.file.name):
                for name in cursor.get_children():
                    self.enumerators[name.spelling] = name.enum_value
                    self.zeros |= {name.spelling} if name.enum_value == 0 else set()

    # ---- mutants ----------------------------------------------------------------------------------------------------

    def range_of(self, cursor):
        return cursor.extent.start.offset, cursor.extent.end.offset

    def source(self, begin, end):
        return self.text[begin:end]

    def make(self, begin, end, kind, old, new):
        """A number, or None where nothing may be changed."""
        part = self.lines.part_of(begin, end)
        if part is None or self.is_barred(begin, end) or self.is_ragels(begin, end):
            return None
        file, line = self.lines.at(begin)
        old, new, function = short(old), short(new), self.function
        if self.lines.is_of_action(part):
            function = "action " + max(action for action in self.actions if action[0] <= line)[1]
        place = (part if function != self.function else None, function, kind, old, new)
        self.counts[place] = nth = self.counts.get(place, 0) + 1
        return self.book.number(file, function, line, kind, old, new, nth, self.sum)

    def is_ragels(self, begin, end):
        """What Ragel puts into an action: its variables, the number of the next state, the look for the end of the input."""
        return self.lines.generated and bool(GENERATED.search(self.source(begin, end)) or AT_END.match(self.text, end) or
                                             NUMBER.match(self.source(begin, end)) and STATE.search(self.text[max(0, begin - 16):begin]))

    def wrap(self, begin, end, prefix, suffix):
        self.wraps.append((begin, end, prefix, suffix))

    def choose(self, begin, end, kind, new, mutated=None):
        """The range is an expression; the mutant is another."""
        n = self.make(begin, end, kind, self.source(begin, end), new)
        if n is not None:
            self.wrap(begin, end, "(vpc_m(%d) ? %s : (" % (n, mutated or "(%s)" % new), "))")

    def truth(self, begin, end, kind, new, mutated):
        """The range is a truth value; `mutated` says what becomes of it, which is called vpc_t."""
        n = self.make(begin, end, kind, self.source(begin, end), new)
        if n is not None:
            self.wrap(begin, end, "({ const int vpc_t = !!(", "); vpc_m_truth(%d, vpc_t, %s); })" % (n, mutated))

    # ---- the tree -----------------------------------------------------------------------------------------------------

    def in_call(self, begin, end):
        """Within a macro with arguments: "inside" is not ours to touch, "whole" is the macro itself."""
        for first, last in self.calls:
            if (first, last) == (begin, end):
                return "whole"
            if first <= begin < last:
                return "inside"
        return None

    def rewrite(self):
        for cursor in self.unit.cursor.get_children():
            if not self.here(cursor):
                continue
            if cursor.kind == K.FUNCTION_DECL and cursor.is_definition():
                self.take_function(cursor)
            elif cursor.kind == K.VAR_DECL:
                self.take_table(cursor)
        return self.result()

    def begin_part(self, cursor):
        begin, end = self.range_of(cursor)
        text = self.text if self.lines.generated else self.text[begin:end]
        self.function, self.sum = cursor.spelling, hashlib.sha256(text.encode("latin-1")).hexdigest()[:12]

    def take_function(self, cursor):
        self.begin_part(cursor)
        self.returns = cursor.result_type.get_canonical().kind
        body = [c for c in cursor.get_children() if c.kind == K.COMPOUND_STMT][-1]
        self.barred = []
        self.walk(body, None, 0, 0)
        self.take_tokens(*self.range_of(body))

    def take_table(self, cursor):
        """A table at the top: it loses its const, and a constructor fills it with what was chosen."""
        begin, end = self.range_of(cursor)
        at = self.text.find("= {", begin, end)
        if cursor.storage_class != clang.StorageClass.STATIC or at < 0:
            return
        self.begin_part(cursor)
        const = [t for t in self.tokens_in(begin, at) if t[2] == "const"]
        brace = self.text.find("{", begin, at)
        outer = [t for t in const if brace < 0 or t[0] < brace] if brace >= 0 else const[-1:]
        saved, self.wraps, self.barred = self.wraps, [], []
        self.take_tokens(at + 2, end)
        if self.wraps:
            filled = self.rendered(at + 2, end)
            self.replaced += [(first, last, "") for first, last, _, _ in outer[:1]]
            self.tables.append((self.text.index(";", end) + 1, "\n__attribute__((constructor)) static void vpc_m_fill_%s(void)\n{\n"
                                "    __typeof__(%s) vpc_t = %s;\n\n    __builtin_memcpy(&%s, &vpc_t, sizeof(vpc_t));\n}\n" %
                                (cursor.spelling, cursor.spelling, filled, cursor.spelling)))
        self.wraps = saved

    def walk(self, cursor, parent, nth, of):
        """nth of so many children of parent."""
        begin, end = self.range_of(cursor)
        where = self.in_call(begin, end)
        if where == "inside":
            return
        children = list(cursor.get_children())
        if parent is not None and cursor.kind.is_expression() and self.is_statement_place(parent, nth, of):
            self.take_statement(cursor, begin, end)
        handler = self.handlers.get(cursor.kind)
        if handler and where is None:
            handler(self, cursor, children, begin, end)
        if where != "whole" and cursor.kind != K.CXX_UNARY_EXPR:  # that is sizeof
            for at, child in enumerate(children):
                self.walk(child, cursor.kind, at, len(children))

    @staticmethod
    def is_statement_place(parent, nth, of):
        if parent in (K.COMPOUND_STMT, K.DEFAULT_STMT, K.LABEL_STMT):
            return True
        if parent in (K.IF_STMT, K.CASE_STMT, K.WHILE_STMT):
            return nth > 0
        return parent == K.FOR_STMT and nth == of - 1 or parent == K.DO_STMT and nth == 0

    def take_statement(self, cursor, begin, end):
        if re.fullmatch(r"\(void\)\s*\w+", self.source(begin, end)):
            return  # it only says that a parameter is not used
        self.removed.add((begin, end))
        n = self.make(begin, end, "statement removed", self.source(begin, end), ";")
        if n is not None:
            self.wrap(begin, end, "(vpc_m(%d) ? (void)0 : (void)(" % n, "))")

    def bare(self, cursor):
        """Without what the tree puts around it unseen."""
        while cursor.kind == K.UNEXPOSED_EXPR or cursor.kind == K.PAREN_EXPR:
            children = list(cursor.get_children())
            if len(children) != 1:
                break
            cursor = children[0]
        return cursor

    def tokens_in(self, begin, end):
        tokens = self.tokens[bisect.bisect_left(self.token_begins, begin):bisect.bisect_left(self.token_begins, end)]
        return [token for token in tokens if token[1] <= end]

    def operator(self, left, right):
        """(begin, end, text) of the operator between two operands."""
        first, last = self.range_of(left)[1], self.range_of(right)[0]
        between = [t for t in self.tokens_in(first, last) if t[2] not in "()"]
        return between[0][:3] if between else None

    def is_equality(self, cursor):
        cursor = self.bare(cursor)
        children = list(cursor.get_children())
        if cursor.kind != K.BINARY_OPERATOR or len(children) != 2:
            return False
        found = self.operator(*children)
        return found is not None and found[2] in ("==", "!=")

    def condition(self, cursor, kinds):
        begin, end = self.range_of(cursor)
        if self.in_call(begin, end) == "inside":
            return
        text = self.source(begin, end)
        whole = {"condition negated": ("!(%s)" % text, "!vpc_t"), "condition never": ("false", "0"), "condition always": ("true", "1")}
        for kind in kinds:
            self.truth(begin, end, kind, *whole[kind])
        self.whole_conditions.add(self.range_of(self.bare(cursor)))

    def take_if(self, cursor, children, begin, end):
        then = children[1]
        alone = len(children) == 2
        kinds = ["condition negated", "condition always"]
        if not (alone and then.kind.is_expression()):
            kinds.append("condition never")
        if alone and then.kind in (K.RETURN_STMT, K.BREAK_STMT, K.CONTINUE_STMT):
            self.closed.append(self.range_of(then))  # the condition that never holds is the same
        self.condition(children[0], kinds)

    def take_while(self, cursor, children, begin, end):
        self.condition(children[0], ["condition never"])

    def take_do(self, cursor, children, begin, end):
        self.condition(children[1], ["condition negated"])

    def take_for(self, cursor, children, begin, end):
        marks = [t[0] for t in self.tokens_in(begin, self.range_of(children[-1])[0]) if t[2] == ";"]
        for child in children[:-1]:
            first, last = self.range_of(child)
            if len(marks) >= 2 and marks[0] < first and last <= marks[1]:
                self.condition(child, ["condition never"])

    def take_question(self, cursor, children, begin, end):
        self.condition(children[0], ["condition negated"])

    def take_binary(self, cursor, children, begin, end):
        if len(children) != 2:
            return
        found = self.operator(*children)
        if found is None or self.in_call(found[0], found[1]):
            return
        op = found[2]
        left, right = (self.range_of(child) for child in children)
        if op in ("&&", "||"):
            self.drop_operands(children, op, begin, end)
        elif op in ("==", "!="):
            if (begin, end) not in self.whole_conditions:
                self.truth(begin, end, "comparison", self.with_operator(begin, end, found, NEIGHBOUR[op]), "!vpc_t")
        elif op in NEIGHBOUR:
            self.neighbour(found, begin, end)
        elif op in SWAPPED and cursor.type.get_canonical().kind in WHOLE | {T.POINTER}:
            pointers = [child.type.get_canonical().kind not in WHOLE for child in children]
            if not pointers[1] and not (pointers[0] and op not in "+-"):
                self.choose(begin, end, "arithmetic", self.with_operator(begin, end, found, SWAPPED[op]))
        elif op == "=":
            pass  # a statement, which is removed as a whole

    def with_operator(self, begin, end, found, op):
        return self.text[begin:found[0]] + op + self.text[found[1]:end]

    def neighbour(self, found, begin, end):
        n = self.make(begin, end, "comparison", self.source(begin, end), self.with_operator(begin, end, found, NEIGHBOUR[found[2]]))
        if n is None:
            return
        a, b = "vpc_a%d" % n, "vpc_b%d" % n
        self.wrap(begin, end, "({ __auto_type %s = (" % a,
                  "); vpc_m_truth(%d, %s %s %s, %s %s %s); })" % (n, a, found[2], b, a, NEIGHBOUR[found[2]], b))
        self.replaced.append((found[0], found[1], "); __auto_type %s = (" % b))

    def drop_operands(self, children, op, begin, end):
        for child, other in (children, reversed(children)):
            first, last = self.range_of(child)
            if self.in_call(first, last) != "inside":
                n = self.make(first, last, "operand dropped", self.source(begin, end), self.source(*self.range_of(other)))
                if n is not None:
                    self.wrap(first, last, "({ const int vpc_t = !!(",
                              "); vpc_m_truth(%d, vpc_t, %d); })" % (n, 1 if op == "&&" else 0))

    def take_unary(self, cursor, children, begin, end):
        for op, other in STEPS.items():
            text = self.source(begin, end)
            if text.startswith(op):
                self.choose(begin, end, "arithmetic", other + text[2:])
            elif text.endswith(op):
                self.choose(begin, end, "arithmetic", text[:-2] + other)
        if self.text[begin] == "!" and (begin, end) not in self.whole_conditions:
            self.truth(begin, end, "not dropped", self.source(begin + 1, end), "!vpc_t")

    def take_store(self, cursor, children, begin, end):
        found = self.operator(*children)
        if found and found[2] in SWAPPED_STORE:
            if children[0].type.get_canonical().kind == T.POINTER and found[2] not in ("+=", "-="):
                return
            self.choose(begin, end, "arithmetic", self.with_operator(begin, end, found, SWAPPED_STORE[found[2]]))

    def take_call(self, cursor, children, begin, end):
        kind = cursor.type.get_canonical().kind
        if kind not in WHOLE | {T.POINTER} or (begin, end) in self.whole_conditions or (begin, end) in self.removed:
            return
        text = self.source(begin, end)
        if not text.endswith(")"):
            return  # such as errno
        self.choose(begin, end, "call removed", "NULL" if kind == T.POINTER else "0", "(__typeof__(%s))0" % text)

    def take_return(self, cursor, children, begin, end):
        if not children:
            self.remove_jump(begin, end)
            return
        if self.returns not in WHOLE | {T.POINTER}:
            return
        first, last = self.range_of(children[0])
        value = self.bare(children[0])
        if self.in_call(first, last) == "inside" or NUMBER.match(self.source(first, last)) or re.fullmatch(r"true|false|NULL", self.source(first, last)):
            return
        text = self.source(first, last)
        if text in self.zeros:
            return  # it is 0 already
        if self.returns == T.BOOL:
            if not self.is_equality(children[0]):
                self.truth(first, last, "return changed", "!(%s)" % text, "!vpc_t")
        elif value.kind != K.CALL_EXPR:  # which is removed anyway
            n = self.make(first, last, "return changed", text, "NULL" if self.returns == T.POINTER else "0")
            if n is not None:
                self.wrap(first, last, "({ __auto_type vpc_r%d = (" % n, "); vpc_m_if(%d, vpc_r%d != 0) ? 0 : vpc_r%d; })" % (n, n, n))

    def take_jump(self, cursor, children, begin, end):
        self.remove_jump(begin, end)

    def remove_jump(self, begin, end):
        if (begin, end) in self.closed:
            return
        n = self.make(begin, end, "jump removed", self.source(begin, end), ";")
        stop = self.text.find(";", end - 1)
        if n is not None and stop >= 0:
            self.wrap(begin, stop + 1, "{ if (!vpc_m(%d)) " % n, " }")

    def take_case(self, cursor, children, begin, end):
        self.barred.append(self.range_of(children[0]))

    def take_declaration(self, cursor, children, begin, end):
        """Of a variable in a function: its sizes and what fills a static one stay; a table of texts need not be static."""
        named = cursor.location.offset
        at = self.text.find("=", named, end)
        self.barred.append((named, at if at >= 0 else end))
        static = cursor.storage_class == clang.StorageClass.STATIC
        if static and cursor.type.get_canonical().kind == T.CONSTANTARRAY and cursor.type.element_type.get_canonical().kind == T.POINTER:
            word = self.text.find("static", begin, end)
            self.replaced.append((word, word + 6, ""))
        elif static or cursor.type.get_canonical().kind == T.CONSTANTARRAY and '"' in self.text[max(at, named):end][:4]:
            self.barred.append((begin, end))

    handlers = {
        K.IF_STMT: take_if, K.WHILE_STMT: take_while, K.DO_STMT: take_do, K.FOR_STMT: take_for,
        K.CONDITIONAL_OPERATOR: take_question, K.BINARY_OPERATOR: take_binary, K.UNARY_OPERATOR: take_unary,
        K.COMPOUND_ASSIGNMENT_OPERATOR: take_store, K.CALL_EXPR: take_call, K.RETURN_STMT: take_return,
        K.BREAK_STMT: take_jump, K.CONTINUE_STMT: take_jump, K.CASE_STMT: take_case, K.VAR_DECL: take_declaration,
    }

    # ---- the constants, which are tokens ------------------------------------------------------------------------------

    def take_tokens(self, begin, end):
        tokens = self.tokens_in(begin, end)
        at = 0
        while at < len(tokens):
            first, last, word, kind = tokens[at]
            if word in OPAQUE:
                at = self.skip_parens(tokens, at + 1)
                continue
            if word == "UINT64_C":
                first, at = at, self.skip_parens(tokens, at + 1)
                self.numbers(tokens[first][0], tokens[at - 1][1], self.source(tokens[first][0], tokens[at - 1][1]))
                continue
            if word in ("[", ".") and at > 0 and tokens[at - 1][2] in ("{", ","):  # a designator
                while tokens[at][2] not in ("=", "{"):
                    at += 1
                continue
            if word.startswith('"'):
                run = at
                while run + 1 < len(tokens) and tokens[run + 1][2].startswith('"'):
                    run += 1
                self.take_text(tokens, at, run)
                at = run + 1
                continue
            self.take_constant(tokens, at)
            at += 1

    @staticmethod
    def skip_parens(tokens, at):
        depth = 0
        while at < len(tokens):
            depth += {"(": 1, ")": -1}.get(tokens[at][2], 0)
            at += 1
            if depth <= 0:
                break
        return at

    def is_barred(self, begin, end):
        return any(first <= begin and end <= last for first, last in self.barred)

    def take_text(self, tokens, first, last):
        begin, end = tokens[first][0], tokens[last][1]
        before, after = tokens[first - 1][2], tokens[last + 1][2] if last + 1 < len(tokens) else ""
        if self.is_barred(begin, end) or re.match(r"[A-Z_]{3,}", before) or re.match(r"[A-Z_]{3,}", after):
            return
        if before == ")" or before == "(" and re.fullmatch(r"json_pack|[A-Z_]{3,}", tokens[first - 2][2]):
            return  # a part of a literal; a format is a program, no constant
        text = self.source(begin, end)
        self.choose(begin, end, "text", text[:-1] + '~"', "%s \"~\"" % text)

    def take_constant(self, tokens, at):
        begin, end, word, _ = tokens[at]
        before = tokens[at - 1][2] if at else ""
        if self.is_barred(begin, end) or before in (".", "->", "case", "goto", "enum", "struct"):
            return
        if word in ("true", "false"):
            self.choose(begin, end, "constant", "false" if word == "true" else "true")
        elif word in self.enumerators:
            self.choose(begin, end, "constant", word + " + 1")
        elif NUMBER.match(word) or begin in self.simple:
            self.numbers(begin, end, word)

    def numbers(self, begin, end, word):
        try:
            value = int(re.sub(r"[uUlL]+$", "", word), 0)
        except ValueError:
            value = 2 if word != r"'\0'" and word not in self.zeros else 0
        self.choose(begin, end, "constant", word + " + 1")
        if value > 0:
            self.choose(begin, end, "constant", word + " - 1")
        if value > 1:
            self.choose(begin, end, "constant", "0")

    # ---- the new text -------------------------------------------------------------------------------------------------

    def rendered(self, begin=0, end=None):
        """The text of the range with all insertions: at one place first what ends there, the inner ones first, then what begins."""
        end = len(self.text) if end is None else end
        inserts = []
        for order, (first, last, prefix, suffix) in enumerate(self.wraps):
            if begin <= first and last <= end:
                inserts.append(((first, 2, -last, order), first, first, prefix))
                inserts.append(((last, 0, -first, -order), last, last, suffix))
        inserts += [((first, 3, 0, 0), first, last, text) for first, last, text in self.replaced if begin <= first and last <= end]
        inserts += [((at, 1, 0, 0), at, at, text) for at, text in self.tables if begin <= at <= end]
        out, at = [], begin
        for _, first, last, text in sorted(inserts, key=lambda insert: insert[0]):
            out += [self.text[at:first], text]
            at = last
        return "".join(out) + self.text[at:end]

    def result(self):
        return self.rendered()

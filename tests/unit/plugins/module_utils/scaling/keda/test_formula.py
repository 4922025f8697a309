# Copyright (c) 2026, the gpufleet.llm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Formulas compute what expr-lang does in KEDA, and whatever else it knows is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.formula import parse_formula
from ansible_collections.gpufleet.llm.plugins.module_utils.scaling.keda.formula_nodes import FormulaError
from hypothesis import given
from hypothesis import strategies as st

NAMES = ("a", "b", "queue_depth")


def evaluated(text: str, **values: Any) -> float | None:
    """What a formula gives."""
    return parse_formula(text, NAMES).evaluate(values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b * 2", 14.0),
        ("(a + b) * 2", 18.0),
        ("a - b - 1", -2.0),
        ("a / b", 0.8),
        ("7 / 2", 3.5),
        ("7 % 4", 3.0),
        ("-7 % 4", -3.0),
        ("7 % -4", 3.0),
        ("2 ** 3 ** 2", 512.0),
        ("2 ^ 3", 8.0),
        ("-2 ** 2", -4.0),
        ("2 ** -1", 0.5),
        ("- a * b", -20.0),
        ("+a", 4.0),
        ("9223372036854775807 + 1 + a * 0", -(2.0**63)),
        (".5 + 1. + 1e2 + 2.5E-1", 101.75),
        ("007", 7.0),
        ("a > 3 ? 1 : 2", 1.0),
        ("a >= 4 && b <= 5 ? 1 : 2", 1.0),
        ("a < 4 or b != 5 ? 1 : 2", 2.0),
        ("not (a == 4) ? 1 : 2", 2.0),
        ("!(a == 4) || true ? 1 : 2", 1.0),
        ("a > 9 ? 1 : b > 9 ? 2 : 3", 3.0),
        ("(3 < a < 5) ? 1 : 2", 1.0),
        ("3 < a < 4 ? 1 : 2", 2.0),
        ("1 == 1.0 ? 1 : 2", 1.0),
        ("true == (a == 4) ? 1 : 2", 1.0),
        ("nil == nil ? 1 : 2", 1.0),
        ("a == nil ? 1 : 2", 2.0),
        ("min(a, b, 3)", 3.0),
        ("max(a, b, 3)", 5.0),
        ("max(1, 2) / 4", 0.5),
        ("abs(a - b)", 1.0),
        ("floor(-0.5)", -1.0),
        ("ceil(0.2) + ceil(-1.5)", 0.0),
        ("round(2.5) + round(-0.5) + round(0.49999999999999994)", 2.0),
        ("floor(7) / 2", 3.5),
        ("min(a, b,)", 4.0),
        ("a ?? b", 4.0),
        ("queue_depth ?? b", 5.0),
        ("(queue_depth ?? a) + b", 9.0),
        ("b + queue_depth ?? a", 9.0),
        ("max(queue_depth) ?? 7", 7.0),
        ("queue_depth ?? nil ?? 2", 2.0),
        ("queue_depth == nil ? 1 : 2 ?? 3", 1.0),
    ],
)
def test_what_a_formula_gives(text: str, expected: float) -> None:
    assert evaluated(text, a=4.0, b=5.0, queue_depth=None) == expected


def test_nil_is_a_result_only_where_keda_sees_the_operator_for_it() -> None:
    assert evaluated("a ?? nil", a=None) is None
    with pytest.raises(FormulaError, match="gives nil, which is no number"):
        evaluated("a > 3 ? nil : 1", a=4.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("queue_depth + b", "needs a number and has nil"),
        ("-queue_depth", "needs a number and has nil"),
        ("queue_depth > 1 ? 1 : 2", "needs a number and has nil"),
        ("min(queue_depth, 2)", "needs a number and has nil"),
        ("abs(queue_depth)", "needs a number and has nil"),
        ("max(queue_depth)", "gives nil, which is no number"),
        ("max(1, b) == 1 ? 1 : 2", "needs a whole number and has 4.0"),
        ("7 % (b > 3 ? 0 : 1)", "% needs whole numbers, the second not 0"),
        ("7 % max(1, b)", "% needs whole numbers, the second not 0"),
    ],
)
def test_what_fails_while_it_is_evaluated(text: str, message: str) -> None:
    formula = parse_formula(text, NAMES)
    with pytest.raises(FormulaError, match=message):
        formula.evaluate({"b": 4.0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c * 2", "'c' is not the name of a trigger (those with a name: a, b, queue_depth) at character 1"),
        ("queue-depth", "'queue' is not the name of a trigger (those with a name: a, b, queue_depth) at character 1"),
        ("a + len(b)", "the function 'len' is not supported in a formula here"),
        ("a + float(b)", "the function 'float' is not supported in a formula here"),
        ("a(1)", "'(' is unexpected at character 2"),
        ("a in b", "'in' is not supported in a formula here at character 3"),
        ("a not in b", "'not' is unexpected at character 3"),
        ("let x = a; x", "'let' is not supported in a formula here at character 1"),
        ("a = b", "'=' is not supported in a formula here at character 3"),
        ("if a > 1 { 1 } else { 2 }", "'if' is not supported in a formula here at character 1"),
        ("[1, 2]", "'[' is not supported in a formula here at character 1"),
        ("a | abs()", "'|' is not supported in a formula here at character 3"),
        ("a; b", "';' is not supported in a formula here at character 2"),
        ("a == 'x' ? 1 : 2", '"\'" is not supported in a formula here at character 6'),
        ("a // b", "'//' is not supported in a formula here at character 3"),
        ("a /* b */", "'/*' is not supported in a formula here at character 3"),
        ("a?.b", "'?.' is not supported in a formula here at character 2"),
        ("a ?: b", "':' is unexpected at character 4"),
        ("1..2", "'.2' is unexpected at character 3"),
        ("0x10", "'0' is not supported in a formula here at character 1"),
        ("1_000", "'1' is not supported in a formula here at character 1"),
        ("9223372036854775808", "9223372036854775808 is too large at character 1"),
        ("1e999 + a", "1e999 is too large at character 1"),
        ("", "it ends too early at character 1"),
        ("a +", "it ends too early at character 4"),
        ("(a", "it ends too early, where ')' should stand at character 3"),
        ("a b", "'b' is unexpected at character 3"),
        ("a ) + ( b", "')' is unexpected at character 3"),
        ("and a", "'and' is unexpected at character 1"),
        ("max(a b)", "'b' is unexpected, where ',' should stand at character 7"),
        ("max()", "max takes at least one number at character 1"),
        ("round(a, 1)", "round takes one number at character 1"),
        ("round(a > 1)", "round takes numbers, not bool at character 1"),
        ("min(nil, a)", "min takes numbers, not nil at character 1"),
        ("a ?? b + 1", "+ next to ?? needs parentheses around either at character 8"),
        ("a ?? b > 1 ? 1 : 2", "> next to ?? needs parentheses around either at character 8"),
        ("a % 2", "% does not work with float and int at character 3"),
        ("a && b ? 1 : 2", "&& does not work with float and float at character 3"),
        ("(a > 1) + 1", "+ does not work with bool and int at character 9"),
        ("a > nil ? 1 : 2", "> does not work with float and nil at character 3"),
        ("a == true ? 1 : 2", "== does not work with float and bool at character 3"),
        ("a ? 1 : 2", "? takes a condition, not float at character 3"),
        ("not a ? 1 : 2", "not takes a condition, not float at character 1"),
        ("-(a > 1)", "- takes a number, not bool at character 1"),
        ("not a == b ? 1 : 2", "not takes a condition, not float at character 1"),
        ("a > 2", "gives a condition, which is no number"),
        ("nil", "gives nil, which is no number"),
        ("a > 1 ? true : 1", "? chooses between bool and int: a choice is between numbers, or between conditions"),
        ("a > 1 ? nil : true", "? chooses between nil and bool: a choice is between numbers, or between conditions"),
        ("a ?? true", "?? chooses between float and bool: a choice is between numbers, or between conditions"),
        ("7 % 0 + a", "% needs whole numbers, the second not 0 at character 3"),
        ("a > 0 ? a : 7 % 0", "% needs whole numbers, the second not 0 at character 15"),
        ("7 % (0 * 1) + a", "% needs whole numbers, the second not 0 while each trigger is -1, as KEDA tries it"),
        ("a + (" * 200, "is nested more than 100 deep"),
        ("-" * 200 + "a", "is nested more than 100 deep"),
        ("a" + " + a" * 200, "is nested more than 100 deep"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_refused_is_named(text: str, message: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula(text, NAMES)
    assert str(caught.value).startswith(message)


def test_a_formula_knows_which_triggers_it_reads() -> None:
    assert parse_formula("b > 1 ? a : b", NAMES).names == ("b", "a")
    with pytest.raises(FormulaError, match=r"\(those with a name: none\)"):
        parse_formula("a", ())


@given(st.text(st.sampled_from("ab0123 .+-*/%^<>=!&|?:(),nilmaxorE_$'[]"), max_size=40))
def test_no_text_is_more_than_refused(text: str) -> None:
    try:
        parse_formula(text, NAMES).evaluate({"a": 1.5, "b": None})
    except FormulaError as error:
        assert str(error)

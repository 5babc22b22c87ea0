"""`manage.py rules`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.monitoring.alerts.rulefile import document, rules, trial
from apps.monitoring.alerts.rulefile.apply import Kind, apply, stored
from apps.monitoring.alerts.rulefile.cases import Case, read
from apps.monitoring.alerts.rulefile.errors import RuleFileError
from apps.monitoring.alerts.rulefile.rules import Entry
from apps.monitoring.core import duration
from apps.monitoring.management.command import MonitoringCommand


class Command(MonitoringCommand):
    """Rules as code."""

    help = "Alert rules as YAML: export, apply with a diff, and test them. See docs/rules-as-code.md."

    def add_arguments(self, parser: CommandParser) -> None:
        """One parser an action."""
        super().add_arguments(parser)
        actions = parser.add_subparsers(dest="action", required=True, metavar="export|apply|test")
        export = actions.add_parser("export", help="print the stored rules as YAML")
        export.add_argument("names", nargs="*", metavar="RULE", help="only these rules (default: every one)")
        made = actions.add_parser(
            "apply",
            help="make the stored rules those of the files, all or none",
            description="Make the stored rules those of the files, in one transaction: all or none. What an entry leaves "
            "out has its default. Rules that no file has stay as they are, unless you prune.",
        )
        made.add_argument("files", nargs="+", metavar="FILE", help="YAML as rules export prints it; - is standard input")
        made.add_argument("--dry-run", action="store_true", help="only show what would change")
        made.add_argument("--prune", action="store_true", help="delete the rules that no file has")
        tried = actions.add_parser(
            "test",
            help="run tests of rules: series, and who is to fire when",
            description="Run tests of rules, in the manner of promtool. Needs no server and stores nothing.",
        )
        tried.add_argument("files", nargs="+", metavar="FILE", help="YAML with rule_files and tests")
        for own in (export, made, tried):
            own.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the result as JSON")

    def run(self, **options: Any) -> dict[str, Any]:
        """What was asked for."""
        try:
            match options["action"]:
                case "export":
                    return self._export(options["names"])
                case "apply":
                    return self._apply(options)
                case _:
                    return self._test(options["files"])
        except RuleFileError as error:
            raise CommandError(str(error)) from error

    def lines(self, result: dict[str, Any]) -> list[str]:
        """A file, or a diff and what it comes to."""
        if "rules" in result:
            return rules.dump(result).removesuffix("\n").split("\n")
        if "tests" in result:
            return self._outcomes(result)
        shown = [self._coloured(line) for line in result["diff"]]
        counts = ", ".join(f"{len(result[kind])} {kind}" for kind in Kind)
        tense = "would be " if result["dry_run"] else ""
        return [*shown, f"{tense}{counts}, {result['unchanged']} unchanged"]

    def _export(self, names: Sequence[str]) -> dict[str, Any]:
        found = stored(names)
        missing = sorted(set(names) - {rule["name"] for rule in found})
        if missing:
            msg = f"there is no rule {', '.join(missing)}"
            raise CommandError(msg)
        return {"rules": found}

    def _apply(self, options: dict[str, Any]) -> dict[str, Any]:
        entries = entries_of(options["files"])
        changes = apply(entries, prune=options["prune"], dry_run=options["dry_run"])
        touched = sum(change.kind is not Kind.DELETED for change in changes)
        return {
            "dry_run": options["dry_run"],
            **{kind.value: [change.name for change in changes if change.kind is kind] for kind in Kind},
            "unchanged": len(entries) - touched,
            "diff": [line for change in changes for line in change.diff],
        }

    def _test(self, files: Sequence[str]) -> dict[str, Any]:
        cases = [case for file in files for case in read(document.text_of(Path(file)), file, Path(file).parent)]
        tests = [_tried(case) for case in cases]
        passed = sum(test["passed"] for test in tests)
        return {"passed": passed, "failed": len(tests) - passed, "tests": tests}

    def _outcomes(self, result: dict[str, Any]) -> list[str]:
        shown = []
        for test in result["tests"]:
            line = self.style.SUCCESS("ok") if test["passed"] else self.style.ERROR("FAILED")
            shown.append(f"{line}  {test['name']}")
            for one in test["failures"]:
                shown.append(f"  {one['place']}: rule {one['rule']} at {one['eval_time']}")
                shown += [f"    expected  {said}" for said in one["expected"]]
                shown += [f"    actual    {was}" for was in one["actual"]]
        return [*shown, f"{result['passed']} passed, {result['failed']} failed"]

    def exit_code(self, result: dict[str, Any]) -> int:
        """1 when a test failed."""
        return int(bool(result.get("failed")))

    def _coloured(self, line: str) -> str:
        """Where somebody sees it: Django knows whether this is a terminal."""
        if line.startswith("+"):
            return self.style.SUCCESS(line)
        return self.style.ERROR(line) if line.startswith("-") else line


def entries_of(files: Sequence[str]) -> list[Entry]:
    """The rules of all files together. Raises RuleFileError."""
    found: list[list[Entry]] = []
    wrong: list[str] = []
    for file in files:
        try:
            found.append(rules.read(_text(file), "standard input" if file == "-" else file))
        except RuleFileError as error:
            wrong += error.found
    if wrong:
        raise RuleFileError(wrong)
    return rules.join(found)


def _text(file: str) -> str:
    return sys.stdin.read() if file == "-" else document.text_of(Path(file))


def _tried(case: Case) -> dict[str, Any]:
    failures = [
        {
            "place": one.place,
            "rule": one.rule,
            "eval_time": duration.spell(one.offset),
            "expected": one.expected,
            "actual": one.actual,
        }
        for one in trial.run(case)
    ]
    return {"name": case.name, "passed": not failures, "failures": failures}

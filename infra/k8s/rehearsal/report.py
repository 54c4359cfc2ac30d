"""What happened, as a table."""

import sys
import time
import traceback
from dataclasses import dataclass

from .sales import Counts, Sales


class Skipped(Exception):
    """Why a step can't run on this cluster."""


class Failed(Exception):
    """What a step found."""


@dataclass
class Row:
    step: str
    seconds: float
    counts: Counts
    outcome: str
    remark: str


def log(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


class Report:
    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.is_interrupted = False

    def run(self, step, rehearsal) -> None:
        """Runs a step. A later one runs after a failure, too: one run reports everything."""
        log(f"== {step.name}: {step.__doc__}")
        before, started = rehearsal.sales.counts(), time.monotonic()
        outcome = "ok"
        try:
            remark = step(rehearsal) or ""
        except Skipped as why:
            outcome, remark = "skipped", str(why)
        except Failed as what:
            outcome, remark = "FAILED", str(what)
        except Exception as error:  # Whatever it is, it belongs into the table.
            traceback.print_exc()
            outcome, remark = "FAILED", f"{type(error).__name__}: {error}".splitlines()[0]
        counts = rehearsal.sales.counts() - before
        self.rows.append(Row(step.name, time.monotonic() - started, counts, outcome, remark))
        log(f"   {outcome} {remark}")

    def interrupted(self) -> None:
        self.is_interrupted = True

    def finish(self, sales: Sales) -> int:
        sales.look_again()
        log(f"== looking at all {len(sales.sales)} sales once more")
        lost = sales.lost()
        print(f"\n{'step':<20} {'took':>7} {'sold':>6} {'requests':>9} {'failed':>7}  result")
        for row in self.rows:
            counts = row.counts
            print(
                f"{row.step:<20} {row.seconds:>5.0f} s {counts.sold:>6} {counts.requests:>9} {counts.failed:>7}  "
                f"{row.outcome}{': ' if row.remark else ''}{row.remark}"
            )
        print(f"\n{sales.counts().sold} sales were acknowledged; {len(lost)} are lost.")
        for line in lost:
            print(f"  {line}")
        sys.stdout.flush()
        has_failed = any(row.outcome == "FAILED" for row in self.rows)
        return 1 if has_failed or lost or self.is_interrupted else 0

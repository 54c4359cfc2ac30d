"""A light load of purchases through the gateway, and an account of what was acknowledged."""

import http.client
import json
import os
import subprocess
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from .cluster import ROOT

PASSWORD = "correct horse battery"
# After a disturbance, events are on their way for some time.
SETTLED_WITHIN = 60
# How long one request is repeated, in seconds.
PATIENCE = 120
# The gateway and each service refuse more than 50 requests per second of one address: what is read to check sales, with the load beside it,
# stays far below.
READS_PER_SECOND = 30


@dataclass(frozen=True)
class Counts:
    """`failed` are requests without a response, or with a 5xx."""

    sold: int = 0
    requests: int = 0
    failed: int = 0

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(self.sold - other.sold, self.requests - other.requests, self.failed - other.failed)


class Gateway:
    """The public address, and where it listens."""

    def __init__(self, base: str, address: str | None) -> None:
        self.base = base.rstrip("/")
        url = urlsplit(self.base)
        self.host = url.netloc
        self.is_tls = url.scheme == "https"
        self.port = url.port or (443 if self.is_tls else 80)
        default = "127.0.0.1" if url.hostname == "localhost" or url.hostname.endswith(".localhost") else url.hostname
        name, _, port = (address or f"{default}:{self.port}").rpartition(":")
        self.address = (name, int(port))

    def connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self.is_tls else http.client.HTTPConnection
        return kind(*self.address, timeout=15)

    def tour(self, tree: Path = ROOT) -> None:
        """The commands of README's tour, as a reader pastes them."""
        text = (tree / "README.md").read_text().split("## A tour")[1].split("\n### ")[0]
        blocks = [block.split("```")[0] for block in text.split("```bash\n")[1:]]
        # curl's own file, since the name may resolve to nothing.
        with tempfile.TemporaryDirectory() as home:
            name, port = self.address
            line = f'connect-to = "{self.host.split(":")[0]}:{self.port}:{name}:{port}"\n'
            (Path(home) / ".curlrc").write_text(line)
            script = "set -euo pipefail\n" + "".join(blocks)
            environment = {**os.environ, "BASE": self.base, "CURL_HOME": home}
            done = subprocess.run(
                ["bash"], check=False, input=script, env=environment, capture_output=True, text=True, timeout=300
            )
        for wanted in ['"status":"sold"', '"status":"complete"', '"declineCode":"generic_decline"']:
            if wanted not in done.stdout:
                raise RuntimeError(f"the tour shows no {wanted}: {(done.stdout + done.stderr)[-600:]}")


class Person:
    """Someone with an account, whose session is refreshed like a browser's."""

    def __init__(self, gateway: Gateway, count) -> None:
        self.gateway, self.count = gateway, count
        self.cookies: dict[str, str] = {}
        self.account = {"email": f"rehearsal-{uuid.uuid4()}@example.com", "password": PASSWORD}

    def request(self, method: str, path: str, body: object = None, key: str | None = None) -> tuple[int, dict]:
        """The status, and the document; 0 if there was no response."""
        headers = {"Host": self.gateway.host, "Content-Type": "application/json"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if key:
            headers["Idempotency-Key"] = key
        connection = self.gateway.connection()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self.count(0)
            return 0, {}
        finally:
            connection.close()
        for header in response.headers.get_all("Set-Cookie", []):
            self.cookies |= {name: cookie.value for name, cookie in SimpleCookie(header).items()}
        self.count(response.status)
        try:
            return response.status, json.loads(text or b"{}")
        except ValueError:
            return response.status, {}

    def insist(self, method: str, path: str, body: object = None, *, until: tuple[int, ...]) -> dict:
        """Repeats a request as an application would, under one key, until one of these."""
        key, end = str(uuid.uuid4()), time.monotonic() + PATIENCE
        while True:
            status, document = self.request(method, path, body, key)
            if status in until:
                return document
            if status == 401:
                self.refresh()
            if time.monotonic() > end:
                raise TimeoutError(f"{method} {path}: {status} {document.get('title', '')}")
            time.sleep(0.5)

    def sign_up(self) -> None:
        # 409 if the response to an earlier attempt was lost.
        self.insist("POST", "/api/users/signup", self.account, until=(201, 409))
        if not self.cookies:
            self.insist("POST", "/api/users/signin", self.account, until=(200,))

    def refresh(self) -> None:
        self.request("POST", "/api/users/refresh", {})

    def is_signed_in(self) -> bool:
        """Whether the session still makes tokens."""
        return self.insist("POST", "/api/users/refresh", {}, until=(200, 401)).get("status") != 401


@dataclass
class Sale:
    ticket: str
    order: str
    payment: str
    problems: list[str] = field(default_factory=list)


class Sales:
    """The load of two sellers and two buyers, and every sale that was acknowledged."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.total = Counts()
        self.lock = threading.Lock()
        self.sales: list[tuple[Person, Sale]] = []
        self.checked: list[tuple[Person, Sale]] = []
        self.stopping = threading.Event()
        self.threads: list[threading.Thread] = []
        # An address may sign up only so often: they are the same in every step.
        self.pairs: list[tuple[Person, Person]] = []
        self.errors: list[str] = []

    def counts(self) -> Counts:
        with self.lock:
            return self.total

    def _count(self, status: int) -> None:
        is_failed = status == 0 or status >= 500
        with self.lock:
            total = self.total
            self.total = replace(total, requests=total.requests + 1, failed=total.failed + is_failed)

    def person(self) -> Person:
        person = Person(self.gateway, self._count)
        person.sign_up()
        return person

    def start(self) -> None:
        if self.threads:
            return
        self.stopping.clear()
        self.pairs = self.pairs or [(self.person(), self.person()) for _ in range(2)]
        self.threads = [threading.Thread(target=self._sell, args=pair, daemon=True) for pair in self.pairs]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Completes the purchases that have begun."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=180)
        self.threads = []

    def forget(self) -> None:
        """For databases that are deleted on purpose. The sales until then were checked by `lost`."""
        with self.lock:
            self.sales, self.checked, self.pairs = [], [], []

    def _sell(self, seller: Person, buyer: Person) -> None:
        while not self.stopping.is_set():
            try:
                self.sell(seller, buyer)
            except Exception as error:  # The load goes on, and the table shows it.
                with self.lock:
                    self.errors.append(f"{type(error).__name__}: {error}")
            self.stopping.wait(1)

    def sell(self, seller: Person, buyer: Person) -> None:
        """A purchase from the listing to the acknowledged payment."""
        listing = {"title": f"Rehearsal {uuid.uuid4()}", "price": "20.50"}
        ticket = seller.insist("POST", "/api/tickets", listing, until=(201,))["id"]
        # 404 until orders knows the ticket.
        order = buyer.insist("POST", "/api/orders", {"ticketId": ticket}, until=(201,))["id"]
        payment = self._pay(buyer, order)
        with self.lock:
            self.sales.append((buyer, Sale(ticket, order, payment)))
            self.total = replace(self.total, sold=self.total.sold + 1)

    def _pay(self, buyer: Person, order: str) -> str:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            status, document = buyer.request("POST", "/api/payments", {"orderId": order, "token": "tok_visa"})
            if status == 201:
                return document["id"]
            if status == 401:
                buyer.refresh()
            if status in (0, 202, 409):
                # Sent, with an unknown outcome: it can be read.
                _, found = buyer.request("GET", f"/api/payments?orderId={order}")
                for payment in found.get("payments", []):
                    if payment["status"] == "completed":
                        return payment["id"]
            time.sleep(0.5)
        raise TimeoutError(f"order {order} couldn't be paid")

    def look_again(self) -> None:
        """`lost` looks at every sale, not only at those since it was last asked."""
        with self.lock:
            self.sales, self.checked = self.checked + self.sales, []

    def lost(self) -> list[str]:
        """What was acknowledged since this was last asked, and isn't there: an order that isn't complete, a ticket that isn't sold, a
        payment that is missing. Also purchases that couldn't be made."""
        with self.lock:
            sales, errors = self.sales, self.errors
            self.sales, self.checked, self.errors = [], self.checked + sales, []
        # The time runs from the first look at all of them, however long that takes.
        waiting = [(buyer, sale) for buyer, sale in sales if self._problems(buyer, sale)]
        end = time.monotonic() + SETTLED_WITHIN
        while waiting and time.monotonic() < end:
            time.sleep(1)
            waiting = [(buyer, sale) for buyer, sale in waiting if self._problems(buyer, sale)]
        return [f"order {sale.order}: {', '.join(sale.problems)}" for _, sale in waiting] + errors

    def _problems(self, buyer: Person, sale: Sale) -> list[str]:
        sale.problems = []
        for path, wanted in [
            (f"/api/orders/{sale.order}", "complete"),
            (f"/api/tickets/{sale.ticket}", "sold"),
            (f"/api/payments/{sale.payment}", "completed"),
        ]:
            time.sleep(1 / READS_PER_SECOND)
            status, document = buyer.request("GET", path)
            if status == 401:
                buyer.refresh()
                status, document = buyer.request("GET", path)
            if document.get("status") != wanted:
                sale.problems.append(f"{path} is {document.get('status', status)}")
        return sale.problems

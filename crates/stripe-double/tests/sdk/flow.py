"""Stripe's own client library takes a payment through every state against the double. Usage: flow.py URL"""

import http.server
import json
import queue
import sys
import threading
import urllib.parse
import urllib.request

import stripe

URL = sys.argv[1]
client = stripe.StripeClient(
    "sk_test_sdk",
    base_addresses={"api": URL},
    http_client=stripe.UrllibClient(),
    max_network_retries=0,
)
api = client.v1


class Shop(http.server.BaseHTTPRequestHandler):
    """Receives webhooks."""

    received = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.put((body, self.headers["stripe-signature"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def listen():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/webhook"


def post(path, form=None, body=None):
    """What isn't part of Stripe's API: the bank's page, the dashboard, faults."""
    data = urllib.parse.urlencode(form).encode() if form is not None else json.dumps(body).encode()
    url = path if path.startswith("http") else URL + path
    request = urllib.request.Request(url, data, {"Authorization": "Bearer sk_test_sdk"})
    if body is not None:
        request.add_header("Content-Type", "application/json")
    return urllib.request.urlopen(request)


def refused(kind, code, call):
    try:
        call()
    except stripe.StripeError as error:
        assert type(error) is kind, f"{error!r} is no {kind.__name__}"
        # The library's own `code` is empty in some kinds of errors.
        given = error.json_body["error"].get("code")
        assert given == code, f"{given}, not {code}"
        return error
    raise AssertionError(f"no {kind.__name__}")


def authorise(key, **more):
    params = {
        "amount": 2000,
        "currency": "usd",
        "capture_method": "manual",
        "payment_method_types": ["card"],
        "metadata": {"order_id": key},
        "confirm": True,
        **more,
    }
    return api.payment_intents.create(params, {"idempotency_key": f"pi:{key}"})


def webhooks_arrive_signed():
    endpoint = api.webhook_endpoints.create({"url": listen(), "enabled_events": ["*"]})
    assert endpoint.secret.startswith("whsec_")
    assert "secret" not in api.webhook_endpoints.retrieve(endpoint.id)
    return endpoint


def an_authorisation_is_captured_in_part_and_refunded():
    first = authorise("1", payment_method="pm_card_visa")
    again = authorise("1", payment_method="pm_card_visa")
    assert (first.id, first.status, first.amount_capturable) == (again.id, "requires_capture", 2000)
    refused(stripe.IdempotencyError, None, lambda: authorise("1", payment_method="pm_card_mastercard"))

    captured = api.payment_intents.capture(
        first.id, {"amount_to_capture": 1500, "expand": ["latest_charge"]}, {"idempotency_key": "capture:1"}
    )
    assert (captured.status, captured.amount_received) == ("succeeded", 1500)
    charge = captured.latest_charge
    assert (charge.captured, charge.amount_captured, charge.amount_refunded) == (True, 1500, 0)
    error = refused(
        stripe.InvalidRequestError, "payment_intent_unexpected_state", lambda: api.payment_intents.capture(first.id)
    )
    assert error.http_status == 400

    part = api.refunds.create({"payment_intent": first.id, "amount": 500}, {"idempotency_key": "refund:1"})
    assert (part.status, part.amount) == ("succeeded", 500)
    refused(
        stripe.InvalidRequestError, None, lambda: api.refunds.create({"payment_intent": first.id, "amount": 1001})
    )
    assert api.refunds.create({"charge": charge.id}).amount == 1000
    refused(
        stripe.InvalidRequestError,
        "charge_already_refunded",
        lambda: api.refunds.create({"payment_intent": first.id}),
    )
    amounts = [it.amount for it in api.refunds.list({"payment_intent": first.id, "limit": 1}).auto_paging_iter()]
    assert amounts == [1000, 500], amounts
    assert api.charges.retrieve(charge.id).refunded
    return first


def an_authorisation_is_released():
    released = authorise("2", payment_method="pm_card_visa")
    canceled = api.payment_intents.cancel(released.id, {"cancellation_reason": "abandoned"})
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    assert not api.charges.retrieve(released.latest_charge).captured
    refused(
        stripe.InvalidRequestError, "payment_intent_unexpected_state", lambda: api.payment_intents.capture(released.id)
    )
    expired = authorise("3", payment_method="pm_card_visa")
    post(f"/_dashboard/payment_intents/{expired.id}/expire", form={})
    assert api.payment_intents.retrieve(expired.id).cancellation_reason == "expired"


def cards_are_declined():
    open_intent = api.payment_intents.create({"amount": 2000, "currency": "usd", "payment_method_types": ["card"]})
    for method, code, decline_code in [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
    ]:
        error = refused(
            stripe.CardError,
            code,
            lambda: api.payment_intents.confirm(open_intent.id, {"payment_method": method}),
        )
        assert error.json_body["error"].get("decline_code") == decline_code
        assert error.error.payment_intent.status == "requires_payment_method"
    method = api.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    paid = api.payment_intents.confirm(open_intent.id, {"payment_method": method.id})
    assert (paid.status, paid.payment_method) == ("succeeded", method.id)


def a_challenge_is_completed():
    token = client.v1.test_helpers.confirmation_tokens.create(
        {"payment_method": "pm_card_authenticationRequired", "return_url": "https://shop.example/return"}
    )
    assert api.confirmation_tokens.retrieve(token.id).payment_method_preview.card.last4 == "3184"
    waiting = authorise("4", confirmation_token=token.id, use_stripe_sdk=False)
    assert waiting.status == "requires_action"
    action = waiting.next_action.redirect_to_url
    assert action.return_url == "https://shop.example/return"
    secret = urllib.parse.parse_qs(urllib.parse.urlsplit(action.url).query)["secret"][0]

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    body = urllib.parse.urlencode({"secret": secret, "outcome": "success"}).encode()
    try:
        urllib.request.build_opener(Stay).open(action.url, body)
    except urllib.error.HTTPError as response:
        back = urllib.parse.parse_qs(urllib.parse.urlsplit(response.headers["location"]).query)
        assert back["redirect_status"] == ["succeeded"], back
    assert api.payment_intents.retrieve(waiting.id).status == "requires_capture"
    assert api.confirmation_tokens.retrieve(token.id).payment_intent == waiting.id
    api.payment_intents.cancel(waiting.id)


def a_dispute_is_won_and_another_lost():
    for evidence, status in [("winning_evidence", "won"), ("losing_evidence", "lost")]:
        paid = authorise(f"dispute:{status}", payment_method="pm_card_visa")
        api.payment_intents.capture(paid.id)
        post(f"/_dashboard/payment_intents/{paid.id}/dispute", form={"reason": "fraudulent"})
        dispute = api.disputes.list({"payment_intent": paid.id}).data[0]
        assert (dispute.status, dispute.is_charge_refundable) == ("needs_response", False)
        refused(
            stripe.InvalidRequestError, "charge_disputed", lambda: api.refunds.create({"payment_intent": paid.id})
        )
        closed = api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": evidence}})
        assert closed.status == status


def only_secret_test_keys_are_accepted():
    def with_key(key):
        options = {"api_key": key}
        return lambda: api.payment_intents.list({}, options)

    refused(stripe.AuthenticationError, None, with_key("sk_live_1"))
    refused(stripe.PermissionError, "secret_key_required", with_key("pk_test_1"))
    post("/_faults", body={"kind": "rate_limit", "times": 1})
    refused(stripe.RateLimitError, "rate_limit", with_key("sk_test_sdk"))
    post("/_faults", body={"kind": "error_before", "times": 1})
    refused(stripe.APIError, None, with_key("sk_test_sdk"))


def lists_are_paged(since):
    newest_first = [it.id for it in api.payment_intents.list({"limit": 2}).auto_paging_iter()]
    assert len(newest_first) > 4 and newest_first == sorted(newest_first, reverse=True)
    since_then = api.payment_intents.list({"created": {"gte": since.created}, "limit": 100})
    assert since.id in [it.id for it in since_then.data]
    before = api.payment_intents.list({"ending_before": newest_first[2], "limit": 1})
    assert [it.id for it in before.data] == [newest_first[1]]


def every_webhook_is_genuine(endpoint):
    for kind in ["webhook_forged", "webhook_stale", "webhook_duplicated"]:
        post("/_faults", body={"match": {"event": "payment_intent.created"}, "kind": kind, "times": 1})
        api.payment_intents.create({"amount": 2000, "currency": "usd", "payment_method_types": ["card"]})
    expected = [it.id for it in api.events.list({"limit": 100}).auto_paging_iter()]
    accepted, rejected = [], 0
    while len(accepted) < len(expected) + 1 or rejected < 2:
        body, signature = Shop.received.get(timeout=10)
        try:
            event = client.construct_event(body, signature, endpoint.secret)
        except stripe.SignatureVerificationError:
            rejected += 1
            continue
        assert event.object == "event" and event.data.object.id
        accepted.append(event.id)
    assert sorted(set(accepted)) == sorted(expected)
    types = {it.type for it in api.events.list({"limit": 100}).auto_paging_iter()}
    wanted = {
        "payment_intent.created",
        "payment_intent.requires_action",
        "payment_intent.amount_capturable_updated",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "charge.succeeded",
        "charge.failed",
        "charge.captured",
        "charge.expired",
        "charge.refunded",
        "charge.dispute.created",
        "charge.dispute.closed",
        "refund.created",
    }
    assert wanted <= types, wanted - types
    assert api.webhook_endpoints.delete(endpoint.id).deleted


the_endpoint = webhooks_arrive_signed()
the_first = an_authorisation_is_captured_in_part_and_refunded()
an_authorisation_is_released()
cards_are_declined()
a_challenge_is_completed()
a_dispute_is_won_and_another_lost()
only_secret_test_keys_are_accepted()
lists_are_paged(the_first)
every_webhook_is_genuine(the_endpoint)
print("done")

// The card form, in a frame of the double's origin: the shop's page never sees the number. It talks with stripe.js by messages.

const form = document.querySelector("form");
const error = document.getElementById("error");
const { key, origin, element } = JSON.parse(decodeURIComponent(location.hash.slice(1)));

const digits = name => form[name].value.replace(/[^0-9]/g, "");

function passesLuhn(number) {
  let sum = 0;
  [...number].reverse().forEach((digit, at) => {
    const doubled = at % 2 === 1 ? Number(digit) * 2 : Number(digit);
    sum += doubled > 9 ? doubled - 9 : doubled;
  });
  return sum % 10 === 0;
}

function expiry() {
  const text = digits("expiry");
  return { month: Number(text.slice(0, 2)), year: 2000 + Number(text.slice(2, 4)), length: text.length };
}

function isPast({ month, year }) {
  const now = new Date();
  return year < now.getFullYear() || (year === now.getFullYear() && month < now.getMonth() + 1);
}

// The first thing that is wrong, with Stripe.js's codes.
function mistake() {
  const number = digits("number");
  const date = expiry();
  if (number.length < 12) return ["number", "incomplete_number", "Your card number is incomplete."];
  if (!passesLuhn(number)) return ["number", "invalid_number", "Your card number is invalid."];
  if (date.length < 4) return ["expiry", "incomplete_expiry", "Your card’s expiration date is incomplete."];
  if (date.month < 1 || date.month > 12) return ["expiry", "invalid_expiry_month", "Your card’s expiration month is invalid."];
  if (isPast(date)) return ["expiry", "invalid_expiry_year_past", "Your card’s expiration year is in the past."];
  if (digits("cvc").length < 3) return ["cvc", "incomplete_cvc", "Your card’s security code is incomplete."];
  return null;
}

function show(field, message) {
  for (const input of form.querySelectorAll("input")) input.setAttribute("aria-invalid", String(input.name === field));
  error.textContent = message;
  send("height", document.documentElement.scrollHeight);
}

function submit() {
  const found = mistake();
  if (!found) {
    show(null, "");
    return {};
  }
  const [field, code, message] = found;
  show(field, message);
  form[field].focus();
  return { error: { type: "validation_error", code, message } };
}

async function post(path, parent, params) {
  const { month, year } = expiry();
  const card = { type: "card", "card[number]": digits("number"), "card[exp_month]": month, "card[exp_year]": year, "card[cvc]": digits("cvc") };
  const body = new URLSearchParams({ key, ...params });
  for (const [name, value] of Object.entries(card)) {
    const [root, ...rest] = name.split("[");
    body.set(parent ? `${parent}[${root}]${rest.map(part => `[${part}`).join("")}` : name, value);
  }
  const response = await fetch(path, { method: "POST", body });
  const object = await response.json();
  return object.error ? { error: object.error } : { object };
}

const calls = {
  submit,
  createConfirmationToken: params => post("/v1/confirmation_tokens", "payment_method_data", params),
  createPaymentMethod: params => post("/v1/payment_methods", null, params),
};

const send = (type, value) => parent.postMessage({ stripeDouble: type, element, value }, origin);

addEventListener("message", async event => {
  if (event.origin !== origin || event.source !== parent) return;
  const { call, id, params } = event.data;
  if (!Object.hasOwn(calls, call)) return;
  let value;
  try {
    value = await calls[call](params);
  } catch (failure) {
    value = { error: { type: "api_connection_error", message: "We are experiencing issues connecting to our payments provider. Please check your internet connection and try again." } };
  }
  send("answer", { id, value });
});

form.addEventListener("submit", event => event.preventDefault());
form.addEventListener("input", event => {
  if (event.target.name === "expiry" && /^[0-9]{4}$/.test(event.target.value)) {
    event.target.value = `${event.target.value.slice(0, 2)} / ${event.target.value.slice(2)}`;
  }
  const empty = ["number", "expiry", "cvc"].every(name => form[name].value === "");
  send("change", { complete: mistake() === null, empty });
});

send("ready");
// Also once it is laid out: before that it has no height.
new ResizeObserver(() => send("height", document.documentElement.scrollHeight)).observe(form);

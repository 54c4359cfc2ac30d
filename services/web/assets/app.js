// What moves on a page without a reload. Every page works without it.
//
// The server says what has changed (GET /live). The page is asked for again, and its elements with a
// data-topic take the place of the old ones: one template for both, and nothing to decide here.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const between = (least, most) => least + Math.random() * (most - least);
const topicsOf = element => element.dataset.topic.split(" ");
const place = () => document.querySelector("meta[name=live]");

// To those who don't see it.
function say(text) {
  const announcer = document.getElementById("announcer");
  if (announcer && text && announcer.textContent !== text) announcer.textContent = text;
}

// Longer with each failure, up to a minute; not all browsers at the same moment.
const pause = failures => between(0.5, 1) * Math.min(60_000, 1_000 * 2 ** failures);

// --- the page, again ---

const told = new Set(); // topics that have changed since the page was opened
let asking = null;
let again = false;
let timer = 0;
let failures = 0;
let isLeaving = false; // a form is on its way: what comes next is another page
let request = new AbortController();

// Together with what else changes until then.
const refreshIn = milliseconds => (timer ||= setTimeout(refresh, milliseconds));

function refresh() {
  clearTimeout(timer);
  timer = 0;
  again = asking !== null;
  asking ??= ask().catch(() => false).then(done => {
    asking = null;
    failures = done ? 0 : failures + 1;
    if (!done) refreshIn(pause(failures));
    else if (again) refreshIn(0);
  });
}

// Whether it could be done.
async function ask() {
  if (isLeaving || document.hidden || !document.querySelector("[data-topic]")) return true;
  request = new AbortController();
  const response = await fetch(location.href, { cache: "no-cache", signal: request.signal });
  if (response.status >= 500) return false;
  // Signed out meanwhile: the page stays as it is until its reader goes on.
  if (response.redirected) return leave(), true;
  const received = performance.now();
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const position = fresh.querySelector("meta[name=live]");
  if (position) place()?.replaceWith(position);
  for (const old of all("[data-topic][id]")) {
    const its = fresh.getElementById(old.id);
    if (its) replace(old, its);
    else if (topicsOf(old).some(topic => told.has(topic))) remove(old);
  }
  clocks(received);
  follow();
  return true;
}

function replace(old, fresh) {
  if (old.dataset.state && old.dataset.state === fresh.dataset.state && isInUse(old)) {
    // Only the time may have moved.
    const times = all("[data-seconds-left]", fresh);
    all("[data-seconds-left]", old).forEach((clock, at) => {
      clock.dataset.secondsLeft = times[at]?.dataset.secondsLeft ?? 0;
      ends.delete(clock);
    });
    old.dataset.version = fresh.dataset.version ?? "";
    return;
  }
  const controls = element => all("a, button, input, select, textarea, summary", element);
  const focused = controls(old).indexOf(document.activeElement);
  old.replaceWith(fresh);
  if (focused >= 0) {
    fresh.tabIndex = -1;
    (controls(fresh)[focused] ?? fresh).focus({ preventScroll: true });
  }
  if (fresh.dataset.announce !== old.dataset.announce) say(fresh.dataset.announce);
}

// It has changed, and isn't on the page any more: what was sold is on no list.
function remove(old) {
  if (!old.dataset.gone) return;
  old.classList.add("gone");
  old.textContent = old.dataset.gone;
}

// Whether someone types in it, or has, or Stripe's form is in it.
function isInUse(element) {
  const isTouched = field =>
    field === document.activeElement ||
    field.checked !== field.defaultChecked ||
    (field.type !== "hidden" && field.value !== field.defaultValue);
  return (
    element.querySelector("iframe") !== null ||
    all("input, textarea", element).some(isTouched) ||
    all("option", element).some(option => option.selected !== option.defaultSelected)
  );
}

// --- what has changed ---

let stream = null;
let followed = "";
let refusals = 0;
let retry = 0;

function follow() {
  const topics = [...new Set(all("[data-topic]").flatMap(topicsOf))].slice(0, 110);
  const position = place()?.content;
  if (isLeaving || document.hidden || !position || !topics.length) return leave();
  const wanted = topics.map(topic => "&topic=" + topic).join("");
  if (stream && wanted === followed) return;
  leave();
  followed = wanted;
  const opened = (stream = new EventSource("/live?since=" + position + wanted));
  opened.addEventListener("open", () => (refusals = 0));
  opened.addEventListener("changed", event => {
    const { topic, version } = JSON.parse(event.data);
    if (topic) told.add(topic);
    const isOld = element =>
      !topic || (topicsOf(element).includes(topic) && !(Number(element.dataset.version) >= version));
    if (all("[data-topic]").some(isOld)) refreshIn(between(50, 400));
  });
  // The browser itself opens again a stream that broke, but none that was refused.
  opened.addEventListener("error", () => {
    if (opened !== stream || opened.readyState !== EventSource.CLOSED) return;
    leave();
    retry = setTimeout(refresh, pause((refusals += 1)));
  });
}

function leave() {
  clearTimeout(retry);
  stream?.close();
  stream = null;
}

// --- countdowns ---

const ends = new WeakMap();

// They were true when the page came; a visitor's clock may show any time.
function clocks(received) {
  for (const clock of all("[data-seconds-left]")) {
    if (ends.has(clock)) continue;
    ends.set(clock, { at: received + clock.dataset.secondsLeft * 1000, left: Infinity });
    if (clock.tagName === "TIME") clock.hidden = false;
  }
  tick();
}

function tick() {
  for (const clock of all("[data-seconds-left]")) {
    const end = ends.get(clock);
    const left = Math.max(0, Math.ceil((end.at - performance.now()) / 1000));
    if (left === end.left) continue;
    if (clock.tagName === "TIME") {
      const two = number => String(Math.floor(number)).padStart(2, "0");
      const [hours, minutes, seconds] = [left / 3600, (left / 60) % 60, left % 60].map(two);
      clock.textContent = `${hours}:${minutes}:${seconds}`.replace(/^0(0:0?)?/, "");
      clock.classList.toggle("ending", left < 120);
    }
    const passes = limit => left <= limit && end.left > limit && end.left < Infinity;
    if (clock.dataset.warn && passes(120)) say(clock.dataset.warn + ": 2 minutes left.");
    if (clock.dataset.warn && passes(30)) say(clock.dataset.warn + ": 30 seconds left.");
    // A moment later the server's clock has passed the end as well.
    if (left === 0) refreshIn(between(1_000, 2_000));
    end.left = left;
  }
}

// --- forms and small conveniences ---

const enable = (form, enabled) =>
  all("button:not([type=button])", form).forEach(button => (button.disabled = !enabled));

addEventListener("submit", ({ target: form, defaultPrevented }) => {
  if (defaultPrevented || form.method !== "post") return;
  // What it does changes this page, which may not even be there any more.
  isLeaving = true;
  request.abort();
  leave();
  // Once it is sent, with the button that sent it; and not for ever, should it never arrive.
  setTimeout(enable, 0, form, false);
  setTimeout(stay, 30_000, form);
});

function stay(...forms) {
  isLeaving = false;
  forms.forEach(form => enable(form, true));
  refresh();
}

addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-share], [data-print]");
  if (!button) return;
  if ("print" in button.dataset) return print();
  const url = document.querySelector("link[rel=canonical]")?.href ?? location.href;
  try {
    if (navigator.share) return await navigator.share({ title: document.title, url });
    await navigator.clipboard.writeText(url);
    say((button.textContent = button.dataset.share));
  } catch {
    // Not now, then.
  }
});

// --- coming and going ---

document.addEventListener("visibilitychange", () => (document.hidden ? leave() : refresh()));
addEventListener("pagehide", leave);
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) stay(...all("form"));
});

const [navigation] = performance.getEntriesByType("navigation");
all("[data-share], [data-print]").forEach(button => (button.hidden = false));
clocks(navigation?.responseStart || performance.now());
setInterval(tick, 250);
// Back may have brought an old page.
navigation?.type === "back_forward" ? refresh() : follow();

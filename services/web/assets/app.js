// Live updates, countdowns and small conveniences. Every page works without them.
//
// The server streams invalidations (GET /live). The page is then requested again, and its elements with a
// data-topic replace the old ones: one template for both, and no decisions here.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const between = (least, most) => least + Math.random() * (most - least);
const topicsOf = element => element.dataset.topic.split(" ");
const liveMeta = () => document.querySelector("meta[name=live]");

// Announces a change to screen readers.
function announce(text) {
  const announcer = document.getElementById("announcer");
  if (announcer && text && announcer.textContent !== text) announcer.textContent = text;
}

// A text of a user inside another one, in its own direction.
const isolated = text => `\u2068${text}\u2069`;

// Exponential back-off with jitter, up to a minute.
const backOff = failures => between(0.5, 1) * Math.min(60_000, 1_000 * 2 ** failures);

// --- refreshing the page ---

const changedTopics = new Set(); // since the page was opened
let refreshing = null;
let again = false;
let timer = 0;
let failures = 0;
let isLeaving = false; // a form is being submitted: the next page replaces this one
let request = new AbortController();

// Changes until then are refreshed together.
const refreshIn = milliseconds => (timer ||= setTimeout(refresh, milliseconds));

// A few changes show at once; of a listing that sells by the second, the page shows every other second what is left, or more
// rarely if the server says so, because many have the page open. (The generic cell rate algorithm.)
const pace = () => Number(liveMeta()?.dataset.pace ?? 2_000);
const BURST = 3;
let theoreticalArrival = 0;
const throttled = () => theoreticalArrival - (BURST - 1) * pace() - performance.now();

function refreshSoon(isUrgent) {
  if (isUrgent) timer = clearTimeout(timer) ?? 0;
  refreshIn(Math.max(between(50, 400), isUrgent ? 0 : throttled()));
}

function refresh() {
  clearTimeout(timer);
  timer = 0;
  again = refreshing !== null;
  refreshing ??= fetchPage().catch(() => false).then(done => {
    refreshing = null;
    failures = done ? 0 : failures + 1;
    if (!done) refreshIn(backOff(failures));
    else if (again) refreshIn(0);
  });
}

// Whether it succeeded.
async function fetchPage() {
  if (isLeaving || document.hidden || !document.querySelector("[data-topic]")) return true;
  theoreticalArrival = Math.max(theoreticalArrival, performance.now()) + pace();
  request = new AbortController();
  const response = await fetch(location.href, { cache: "no-cache", signal: request.signal });
  if (response.status >= 500) return false;
  // Signed out in the meantime: the page stays as it is.
  if (response.redirected) return unsubscribe(), true;
  const received = performance.now();
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const meta = fresh.querySelector("meta[name=live]");
  if (meta) liveMeta()?.replaceWith(meta);
  for (const old of all("[data-topic][id]")) {
    const replacement = fresh.getElementById(old.id);
    if (replacement) replace(old, replacement);
    else if (topicsOf(old).some(topic => changedTopics.has(topic))) remove(old);
  }
  enhance(received);
  subscribe();
  return true;
}

function replace(old, fresh) {
  // What is replaced while it is being clicked loses the click.
  if (old.isEqualNode(fresh)) return;
  if (old.dataset.state && old.dataset.state === fresh.dataset.state && isInUse(old)) {
    // Keep the form; update only the countdowns and the counts.
    const counts = all("[data-count]", fresh);
    all("[data-count]", old).forEach((count, at) => (count.textContent = counts[at]?.textContent ?? ""));
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
  if (fresh.dataset.announce !== old.dataset.announce) announce(fresh.dataset.announce);
}

// It has changed and is no longer on the page: a sold ticket isn't listed.
function remove(old) {
  if (!old.dataset.gone) return;
  old.classList.add("gone");
  old.textContent = old.dataset.gone;
}

// Whether the user is typing, choosing, or has typed or chosen in it, or it shows an error or Stripe's form, which may not have
// been loaded yet: it is loaded into this very element.
function isInUse(element) {
  const isTouched = field =>
    field === document.activeElement ||
    field.checked !== field.defaultChecked ||
    (field.type !== "hidden" && field.value !== field.defaultValue);
  return (
    element.querySelector("iframe, form[data-stripe-key], [aria-invalid]") !== null ||
    all("select", element).includes(document.activeElement) ||
    all("input, textarea", element).some(isTouched) ||
    all("option", element).some(option => option.selected !== option.defaultSelected)
  );
}

// --- live updates ---

let stream = null;
let subscribedTo = "";
let refusals = 0;
let retry = 0;

function subscribe() {
  const topics = [...new Set(all("[data-topic]").flatMap(topicsOf))].slice(0, 110);
  const resumeToken = liveMeta()?.content;
  if (isLeaving || document.hidden || !resumeToken || !topics.length) return unsubscribe();
  const wanted = topics.map(topic => "&topic=" + topic).join("");
  if (stream && wanted === subscribedTo) return;
  unsubscribe();
  subscribedTo = wanted;
  const opened = (stream = new EventSource("/live?since=" + resumeToken + wanted));
  opened.addEventListener("open", () => (refusals = 0));
  opened.addEventListener("changed", event => {
    const { topic, version } = JSON.parse(event.data);
    if (topic) changedTopics.add(topic);
    const isOld = element =>
      !topic || (topicsOf(element).includes(topic) && !(Number(element.dataset.version) >= version));
    // An order that is shown is one's own: its changes are few, and waited for.
    if (all("[data-topic]").some(isOld)) refreshSoon(topic?.startsWith("order:"));
  });
  // Browsers reconnect a broken stream, but not a refused one.
  opened.addEventListener("error", () => {
    if (opened !== stream || opened.readyState !== EventSource.CLOSED) return;
    unsubscribe();
    retry = setTimeout(refresh, backOff((refusals += 1)));
  });
}

function unsubscribe() {
  clearTimeout(retry);
  stream?.close();
  stream = null;
}

// --- countdowns ---

const ends = new WeakMap();

// Prepares new elements. Countdowns start when the page was received: the visitor's clock may be wrong.
function enhance(received) {
  for (const clock of all("[data-seconds-left]")) {
    if (ends.has(clock)) continue;
    ends.set(clock, { at: received + clock.dataset.secondsLeft * 1000, left: Infinity });
    if (clock.tagName === "TIME") clock.closest("[hidden]")?.removeAttribute("hidden");
  }
  all("time[data-local-time]").forEach(showLocalTime);
  all("[data-share], [data-print]").forEach(button => (button.hidden = false));
  tick();
}

// The server names the time in the market's zone; the visitor's own needs no name.
function showLocalTime(time) {
  const format = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  time.textContent = new Date(time.dateTime).toLocaleTimeString([], format);
}

// The seller's own time zone is the likeliest one. The server knows it under any of its names.
function chooseOwnTimeZone(select) {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  if (!timeZone || select.value) return;
  if (!all("option", select).some(option => option.value === timeZone)) {
    select.append(new Option(timeZone, timeZone));
  }
  select.value = timeZone;
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
    const title = clock.dataset.warnAbout;
    if (title && passes(120)) announce(`2 minutes left to pay for ${isolated(title)}.`);
    if (title && passes(30)) announce(`30 seconds left to pay for ${isolated(title)}.`);
    // A moment later, the server's clock has passed the end as well.
    if (left === 0) refreshIn(between(1_000, 2_000));
    end.left = left;
  }
}

// --- forms and small conveniences ---

const enable = (form, enabled) =>
  all("button:not([type=button])", form).forEach(button => (button.disabled = !enabled));

addEventListener("submit", ({ target: form, defaultPrevented }) => {
  if (defaultPrevented || form.method !== "post") return;
  // The submission changes this page, which may even be gone: no refreshes in between.
  isLeaving = true;
  request.abort();
  unsubscribe();
  // Disabled only after the submission has included the button, and not indefinitely, in case it fails.
  setTimeout(enable, 0, form, false);
  setTimeout(stay, 30_000, form);
});

function stay(...forms) {
  isLeaving = false;
  forms.forEach(form => enable(form, true));
  refresh();
}

// A password can be read while it is typed. It is sent as a password: browsers keep what was typed into other fields.
function addReveal(input) {
  const button = document.createElement("button");
  const label = input.labels[0]?.textContent;
  const show = isShown => {
    input.type = isShown ? "text" : "password";
    button.textContent = isShown ? "Hide password" : "Show password";
    button.setAttribute("aria-label", `${button.textContent}: ${label}`);
  };
  Object.assign(button, { type: "button", className: "plain reveal" });
  button.dataset.test = `show-${input.name}`;
  button.setAttribute("aria-controls", input.id);
  button.addEventListener("click", () => show(input.type === "password"));
  input.form?.addEventListener("submit", () => show(false));
  show(false);
  input.after(button);
}

addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-share], [data-print]");
  if (!button) return;
  if ("print" in button.dataset) return print();
  const url = document.querySelector("link[rel=canonical]")?.href ?? location.href;
  try {
    if (navigator.share) return await navigator.share({ title: document.title, url });
    await navigator.clipboard.writeText(url);
    announce((button.textContent = button.dataset.share));
  } catch {
    // Cancelled by the user, or not permitted.
  }
});

// --- page lifecycle ---

document.addEventListener("visibilitychange", () => (document.hidden ? unsubscribe() : refresh()));
addEventListener("pagehide", unsubscribe);
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) stay(...all("form"));
});

const [navigation] = performance.getEntriesByType("navigation");
enhance(navigation?.responseStart || performance.now());
all("select[data-own-time-zone]").forEach(chooseOwnTimeZone);
all("input[type=password]").forEach(addReveal);
setInterval(tick, 250);
// *Back* may have restored an old page.
navigation?.type === "back_forward" ? refresh() : subscribe();

// The door: a scan without a new page, and the camera where the browser reads codes itself. Without this script the form works.

const form = document.getElementById("door-form");
const button = document.getElementById("door-camera");
const video = document.getElementById("door-video");
const { code, key } = form.elements;
let isSending = false;
let last = { text: "", at: 0 };

// The response is the page itself, of which the outcome, the numbers and the new key are taken.
async function send() {
  if (isSending || !code.value) return;
  isSending = true;
  const body = new URLSearchParams(new FormData(form));
  code.value = "";
  try {
    const response = await fetch(form.action, { method: "POST", body, redirect: "error" });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const id of ["door-outcome", "door-counts"]) {
      document.getElementById(id).replaceWith(page.getElementById(id));
    }
    key.value = page.getElementById("door-form").elements.key.value;
  } catch {
    // Signed out, or no network: submitted plainly, the page says which.
    code.value = body.get("code");
    isSending = false;
    return form.submit();
  }
  isSending = false;
  code.focus();
}

form.addEventListener("submit", event => {
  event.preventDefault();
  send();
});

// The same code in front of the camera is one scan.
function seen(text) {
  const now = performance.now();
  const isSame = text === last.text && now - last.at < 3_000;
  last = { text, at: now };
  if (isSame || isSending) return;
  code.value = text;
  send();
}

async function watch(detector) {
  const found = await detector.detect(video).catch(() => []);
  if (found.length) seen(found[0].rawValue);
  if (!video.hidden) requestAnimationFrame(() => watch(detector));
}

button.addEventListener("click", async () => {
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    video.hidden = false;
    button.hidden = true;
    await video.play();
    watch(new BarcodeDetector({ formats: ["qr_code"] }));
  } catch {
    // Not permitted: codes are typed.
    button.hidden = true;
  }
});

if ("BarcodeDetector" in window && navigator.mediaDevices) {
  const formats = await BarcodeDetector.getSupportedFormats().catch(() => []);
  button.hidden = !formats.includes("qr_code");
}

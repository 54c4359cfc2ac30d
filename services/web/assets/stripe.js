// Stripe's own card form: it creates a confirmation token, whose id our form submits. Card numbers never reach
// our servers. If the buyer's bank asks the buyer (3-D Secure), the order's page continues there.

const form = document.querySelector("form[data-stripe-key]");
const errorMessage = document.getElementById("stripe-error");
const unreachable = "We couldn’t reach Stripe. You haven’t been charged. Try again in a moment.";

function begin() {
  const { stripeKey, amount, currency, returnUrl } = form.dataset;
  const button = form.querySelector("button");
  const stripe = window.Stripe(stripeKey);
  const elements = stripe.elements({
    mode: "payment",
    amount: Number(amount),
    currency,
    captureMethod: "manual",
    paymentMethodTypes: ["card"],
    appearance: { theme: matchMedia("(prefers-color-scheme: dark)").matches ? "night" : "stripe" },
  });
  const card = elements.create("payment");
  card.on("ready", () => (button.disabled = false));
  card.mount("#stripe-form");

  async function confirmationToken() {
    const checked = await elements.submit();
    const params = { return_url: returnUrl };
    const made = checked.error ? checked : await stripe.createConfirmationToken({ elements, params });
    if (made.error) throw made.error;
    return made.confirmationToken.id;
  }

  form.addEventListener("submit", async event => {
    event.preventDefault();
    button.disabled = true;
    errorMessage.textContent = "";
    try {
      form.token.value = await confirmationToken();
      form.submit();
    } catch (error) {
      errorMessage.textContent = error.type ? error.message : unreachable;
      button.disabled = false;
    }
  });

  // *Back* from the next page: a confirmation token can be used only once.
  addEventListener("pageshow", event => {
    if (!event.persisted) return;
    form.token.value = "";
    button.disabled = false;
  });
}

// The bank's page opens by itself. If it can't be opened, the page has a link to it.
async function continuePayment({ continueKey, clientSecret, returnUrl }) {
  const { error } = await window.Stripe(continueKey).handleNextAction({ clientSecret });
  // A failed verification is shown by the order's page, with the attempts that are left.
  if (error && error.type !== "card_error" && error.type !== "invalid_request_error") throw error;
  location.assign(returnUrl);
}

if (form && window.Stripe) begin();
else if (form) errorMessage.textContent = "We couldn’t load the card form. You haven’t been charged. Reload the page to try again.";
else if (errorMessage?.dataset.clientSecret && window.Stripe)
  continuePayment(errorMessage.dataset).catch(() => (errorMessage.textContent = unreachable));

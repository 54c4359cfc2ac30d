// Stripe's own card form: it creates a payment method, whose id our form submits. Card numbers never reach
// our servers.

const form = document.querySelector("form[data-stripe-key]");
const errorMessage = document.getElementById("stripe-error");

function begin() {
  const { stripeKey, amount, currency } = form.dataset;
  const button = form.querySelector("button");
  const stripe = window.Stripe(stripeKey);
  const elements = stripe.elements({
    mode: "payment",
    amount: Number(amount),
    currency,
    paymentMethodCreation: "manual",
    paymentMethodTypes: ["card"],
    appearance: { theme: matchMedia("(prefers-color-scheme: dark)").matches ? "night" : "stripe" },
  });
  const card = elements.create("payment");
  card.on("ready", () => (button.disabled = false));
  card.mount("#stripe-form");

  async function paymentMethod() {
    const checked = await elements.submit();
    const made = checked.error ? checked : await stripe.createPaymentMethod({ elements });
    if (made.error) throw made.error;
    return made.paymentMethod.id;
  }

  form.addEventListener("submit", async event => {
    event.preventDefault();
    button.disabled = true;
    errorMessage.textContent = "";
    try {
      form.token.value = await paymentMethod();
      form.submit();
    } catch (error) {
      errorMessage.textContent = error.type ? error.message : "We couldn’t reach Stripe. You haven’t been charged. Try again in a moment.";
      button.disabled = false;
    }
  });

  // *Back* from the next page: a payment method can be used only once.
  addEventListener("pageshow", event => {
    if (!event.persisted) return;
    form.token.value = "";
    button.disabled = false;
  });
}

if (form && window.Stripe) begin();
else if (form) errorMessage.textContent = "We couldn’t load the card form. You haven’t been charged. Reload the page to try again.";

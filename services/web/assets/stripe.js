// Stripe's own form for a card: it makes a payment method of it, whose id our form sends on.
// Card numbers never come to us.

const form = document.querySelector("form[data-stripe-key]");
const complaint = document.getElementById("stripe-error");

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
    complaint.textContent = "";
    try {
      form.token.value = await paymentMethod();
      form.submit();
    } catch (error) {
      complaint.textContent = error.type ? error.message : "Stripe can’t be reached. Nothing was charged.";
      button.disabled = false;
    }
  });

  // Back from the next page: a payment method is good once.
  addEventListener("pageshow", event => {
    if (!event.persisted) return;
    form.token.value = "";
    button.disabled = false;
  });
}

if (form && window.Stripe) begin();
else if (form) complaint.textContent = "Stripe’s form can’t be loaded, so no card can be taken here. Nothing was charged.";

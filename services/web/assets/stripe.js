// Stripe's own form for a card: it hands us a payment method's id, which our form sends on.
"use strict";
(() => {
  const form = document.querySelector("form[data-stripe-key]");
  if (!form || !window.Stripe) return;
  const { stripeKey, amount, currency } = form.dataset;
  const button = form.querySelector("button");
  const complaint = document.getElementById("stripe-error");
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const stripe = window.Stripe(stripeKey);
  const elements = stripe.elements({
    mode: "payment",
    amount: Number(amount),
    currency,
    paymentMethodCreation: "manual",
    paymentMethodTypes: ["card"],
    appearance: { theme: dark ? "night" : "stripe" },
  });
  const card = elements.create("payment");
  card.mount("#stripe-form");
  card.on("ready", () => { button.disabled = false; });
  form.addEventListener("submit", async (event) => {
    if (form.token.value) return;
    event.preventDefault();
    button.disabled = true;
    complaint.textContent = "";
    const checked = await elements.submit();
    const made = checked.error ? checked : await stripe.createPaymentMethod({ elements });
    if (made.error) {
      complaint.textContent = made.error.message;
      button.disabled = false;
      return;
    }
    form.token.value = made.paymentMethod.id;
    form.submit();
  });
})();

// A stand-in for Stripe.js, with the part of its interface that takes a card with the Payment Element and completes 3-D Secure.
// https://docs.stripe.com/js

(() => {
  const home = new URL(document.currentScript.src).origin;

  class IntegrationError extends Error {
    constructor(message) {
      super(message);
      this.name = "IntegrationError";
    }
  }

  function require(condition, message) {
    if (!condition) throw new IntegrationError(message);
  }

  // `{return_url, payment_method_data: {billing_details: {name}}}` as form parameters.
  function flat(object, parent) {
    const params = {};
    for (const [name, value] of Object.entries(object ?? {})) {
      const path = parent ? `${parent}[${name}]` : name;
      if (value !== null && typeof value === "object") Object.assign(params, flat(value, path));
      else if (value !== undefined && value !== null) params[path] = String(value);
    }
    return params;
  }

  let elementsMade = 0;

  class PaymentElement {
    #key;
    #name = `element-${++elementsMade}`;
    #handlers = new Map();
    #calls = new Map();
    #frame = null;
    #ready = null;
    #listener = event => this.#receive(event);

    constructor(key) {
      this.#key = key;
    }

    mount(target) {
      const parent = typeof target === "string" ? document.querySelector(target) : target;
      require(parent, `The selector you specified (${target}) applies to no DOM elements that are currently on the page.`);
      this.unmount();
      this.#frame = document.createElement("iframe");
      this.#frame.title = "Secure payment input frame";
      this.#frame.name = `__privateStripeFrame-${this.#name}`;
      const settings = { key: this.#key, origin: location.origin, element: this.#name };
      this.#frame.src = `${home}/v3/payment-element.html#${encodeURIComponent(JSON.stringify(settings))}`;
      Object.assign(this.#frame.style, { border: "0", width: "100%", height: "11rem", display: "block" });
      addEventListener("message", this.#listener);
      this.#ready = new Promise(resolve => this.on("ready", resolve));
      parent.replaceChildren(this.#frame);
      return this;
    }

    unmount() {
      removeEventListener("message", this.#listener);
      this.#frame?.remove();
      this.#frame = null;
      return this;
    }

    destroy() {
      this.unmount();
    }

    update() {
      return this;
    }

    on(event, handler) {
      this.#handlers.set(event, [...(this.#handlers.get(event) ?? []), handler]);
      return this;
    }

    off(event, handler) {
      const left = (this.#handlers.get(event) ?? []).filter(other => handler && other !== handler);
      this.#handlers.set(event, left);
      return this;
    }

    once(event, handler) {
      const first = value => {
        this.off(event, first);
        handler(value);
      };
      return this.on(event, first);
    }

    #emit(event, value) {
      for (const handler of this.#handlers.get(event) ?? []) handler({ elementType: "payment", ...value });
    }

    #receive({ origin, source, data }) {
      if (origin !== home || source !== this.#frame?.contentWindow || data?.element !== this.#name) return;
      if (data.stripeDouble === "height") this.#frame.style.height = `${data.value}px`;
      if (data.stripeDouble === "ready") this.#emit("ready", {});
      if (data.stripeDouble === "change") this.#emit("change", { ...data.value, collapsed: false, value: { type: "card" } });
      if (data.stripeDouble === "answer") {
        this.#calls.get(data.value.id)?.(data.value.value);
        this.#calls.delete(data.value.id);
      }
    }

    // Private to this script.
    async _call(call, params) {
      require(this.#frame, "The Payment Element isn't mounted. Call mount() first.");
      await this.#ready;
      const id = crypto.randomUUID();
      const answer = new Promise(resolve => this.#calls.set(id, resolve));
      this.#frame.contentWindow.postMessage({ call, id, params }, home);
      return answer;
    }
  }

  class Elements {
    #key;
    #payment = null;
    _submitted = false;

    constructor(key, options) {
      this.#key = key;
      this._check(options ?? {});
      this._options = { ...options };
    }

    _check({ mode, amount, currency, clientSecret }) {
      require(!clientSecret, "The double covers only the deferred flow: pass mode, amount and currency.");
      require(mode === "payment", `The double covers only mode "payment", not ${JSON.stringify(mode)}.`);
      require(Number.isInteger(amount) && amount > 0, "amount must be a positive integer.");
      require(/^[a-z]{3}$/.test(currency ?? ""), "currency must be a lower-case three-letter code.");
    }

    create(type) {
      require(type === "payment", `The double covers only the Payment Element, not ${JSON.stringify(type)}.`);
      require(!this.#payment, "Can only create one Element of type payment through create().");
      this.#payment = new PaymentElement(this.#key);
      this.#payment.on("change", () => (this._submitted = false));
      return this.#payment;
    }

    getElement(type) {
      return type === "payment" ? this.#payment : null;
    }

    update(options) {
      this._check({ ...this._options, ...options });
      Object.assign(this._options, options);
    }

    async submit() {
      require(this.#payment, "elements has no Element to submit.");
      const outcome = await this.#payment._call("submit");
      this._submitted = !outcome.error;
      return outcome.error ? outcome : { selectedPaymentMethod: "card" };
    }
  }

  // Shows the bank's page above the page until it is done.
  function challenge(url) {
    const frame = document.createElement("iframe");
    frame.title = "3-D Secure";
    frame.name = "__privateStripeFrame-challenge";
    frame.src = url;
    Object.assign(frame.style, {
      position: "fixed", inset: "0", width: "100%", height: "100%", border: "0", zIndex: "2147483647", background: "Canvas",
    });
    document.body.append(frame);
    return new Promise(resolve => {
      addEventListener("message", function listener({ origin, source, data }) {
        if (origin !== home || source !== frame.contentWindow || data?.stripeDouble !== "challenge-done") return;
        removeEventListener("message", listener);
        frame.remove();
        resolve();
      });
    });
  }

  class StripeDouble {
    #key;

    constructor(key) {
      require(/^pk_test_./.test(key ?? ""), "Please call Stripe() with your publishable key: the double takes pk_test_… keys.");
      this.#key = key;
    }

    elements(options) {
      return new Elements(this.#key, options);
    }

    async #create(call, elements, params) {
      require(elements instanceof Elements && elements.getElement("payment"), `Pass the elements of a mounted Payment Element to ${call}().`);
      require(elements._submitted, `elements.submit() must be called, and have succeeded, before stripe.${call}().`);
      return elements.getElement("payment")._call(call, flat(params));
    }

    async createConfirmationToken({ elements, params } = {}) {
      const { error, object } = await this.#create("createConfirmationToken", elements, params);
      return error ? { error } : { confirmationToken: object };
    }

    async createPaymentMethod({ elements, params } = {}) {
      require(elements?._options?.paymentMethodCreation === "manual", 'createPaymentMethod() needs elements with paymentMethodCreation: "manual".');
      const { error, object } = await this.#create("createPaymentMethod", elements, params);
      return error ? { error } : { paymentMethod: object };
    }

    async retrievePaymentIntent(clientSecret) {
      const id = /^(pi_.+)_secret_/.exec(clientSecret ?? "")?.[1];
      require(id, "The client secret isn't one of a PaymentIntent.");
      const query = new URLSearchParams({ key: this.#key, client_secret: clientSecret });
      let intent;
      try {
        intent = await (await fetch(`${home}/v1/payment_intents/${id}?${query}`)).json();
      } catch {
        return { error: { type: "api_connection_error", message: "The payments provider can't be reached." } };
      }
      return intent.error ? { error: intent.error } : { paymentIntent: intent };
    }

    async handleNextAction({ clientSecret } = {}) {
      const before = await this.retrievePaymentIntent(clientSecret);
      if (before.error) return before;
      const { status, next_action: action } = before.paymentIntent;
      require(status === "requires_action", `handleNextAction: the PaymentIntent's status is ${status}, not requires_action.`);
      if (action.type === "redirect_to_url") {
        location.assign(action.redirect_to_url.url);
        return new Promise(() => {});
      }
      await challenge(action.use_stripe_sdk.stripe_js);
      const after = await this.retrievePaymentIntent(clientSecret);
      if (after.error) return after;
      const { paymentIntent } = after;
      const hasFailed = paymentIntent.status === "requires_payment_method" && paymentIntent.last_payment_error;
      return hasFailed ? { error: { ...paymentIntent.last_payment_error, payment_intent: paymentIntent } } : { paymentIntent };
    }
  }

  window.Stripe = key => new StripeDouble(key);
  window.Stripe.version = 3;
})();

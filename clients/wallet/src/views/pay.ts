/** Who gets how much, from which account. Nothing is sent yet. */

import { type App, type Draft, go, newTransaction } from "../app.js";
import { h, initials } from "../dom.js";
import { PAYEES } from "../session.js";
import { field, heading, setFault } from "./parts.js";

const OTHER = "other";
const ACCOUNT = /^(?=.*[A-Za-z0-9])[A-Za-z0-9._:-]{1,64}$/;
const AMOUNT = /^(?!0+(?:\.0+)?$)\d{1,12}(?:\.\d{1,2})?$/;
const CURRENCY = "USD";

export function payView(app: App): HTMLElement {
  const draft = app.draft;
  const from = fromField(app, draft);
  const to = payeeField(draft);
  const amount = h("input", {
    id: "amount",
    class: "amount",
    inputmode: "decimal",
    autocomplete: "off",
    placeholder: "0.00",
    value: draft?.amount,
  });
  const onsubmit = (event: Event) => {
    event.preventDefault();
    const typed = normal(amount.value);
    const faults = [setFault(amount, faultOf(typed)), to.check(), from.check()];
    if (faults.some(Boolean)) {
      document.querySelector<HTMLElement>("[aria-invalid]")?.focus();
      return;
    }
    const order = { amount: typed, currency: CURRENCY, from_account: from.value(), to_account: to.value() };
    app.draft = { transaction_id: app.draft?.transaction_id ?? newTransaction(), ...order };
    go("/review");
  };
  return h(
    "form",
    { class: "stack", novalidate: true, onsubmit },
    heading("Send money"),
    field(`Amount in ${CURRENCY}`, amount),
    to.element,
    from.element,
    h("button", { class: "primary big" }, "Continue"),
  );
}

interface Choice {
  element: HTMLElement;
  value(): string;
  /** Show what is wrong; return whether something is. */
  check(): boolean;
}

function payeeField(draft: Draft | null): Choice {
  const chosen = draft?.to_account;
  const isOther = Boolean(chosen) && !PAYEES.some((one) => one.account === chosen);
  const other = h("input", { id: "payee", autocomplete: "off", value: isOther ? chosen : "" });
  const place = h("div", { hidden: !isOther }, field("Account of the payee", other, "Letters, digits and . _ : -"));
  const fault = h("p", { class: "fault", id: "payees-fault" });
  const element = h("fieldset", { class: "choices" }, h("legend", {}, "To"));
  element.append(
    ...PAYEES.map((one) => radio("payee", one.account, one.name, one.hint, one.account === chosen)),
    radio("payee", OTHER, "Someone else", "By the account's number", isOther),
    place,
    fault,
  );
  const value = () => element.querySelector<HTMLInputElement>("input:checked")?.value ?? "";
  element.addEventListener("change", () => {
    place.hidden = value() !== OTHER;
    showFault(element, fault, "");
  });
  return {
    element,
    value: () => (value() === OTHER ? other.value.trim() : value()),
    check: () => {
      if (value() === OTHER) return setFault(other, ACCOUNT.test(other.value.trim()) ? "" : "Enter an account.");
      return showFault(element, fault, value() ? "" : "Choose who gets the money.");
    },
  };
}

function showFault(choices: HTMLElement, place: HTMLElement, text: string): boolean {
  place.textContent = text;
  const first = choices.querySelector("input");
  if (text) first?.setAttribute("aria-invalid", "true");
  else first?.removeAttribute("aria-invalid");
  first?.setAttribute("aria-describedby", place.id);
  return Boolean(text);
}

/** Accounts that the page knows can be chosen; without any the number is typed. */
function fromField(app: App, draft: Draft | null): Choice {
  const { accounts } = app.session.customer;
  if (!accounts.length) return typedAccount(app, draft);
  const chosen = draft?.from_account ?? accounts[0];
  const options = accounts.map((one) => radio("from", one, one, "", one === chosen));
  const element = h("fieldset", { class: "choices" }, h("legend", {}, "From account"), ...options);
  const value = () => element.querySelector<HTMLInputElement>("input:checked")?.value ?? "";
  return { element, value, check: () => false };
}

function typedAccount(app: App, draft: Draft | null): Choice {
  const used = app.usedAccounts;
  const value = draft?.from_account ?? used[0];
  const input = h("input", { id: "from", autocomplete: "off", list: "used", value });
  const { user } = app.session.customer;
  const command = `countersign --as alice accounts open acc-9 --owner ${user} --balance 1000.00`;
  const element = h(
    "div",
    { class: "stack" },
    field("Your account", input, "The number that your bank has given you"),
    h("datalist", { id: "used" }, ...used.map((one) => h("option", { value: one }))),
    h(
      "details",
      {},
      h("summary", {}, "You have no account yet?"),
      h("p", {}, "An operator opens one, and a second operator approves it:"),
      h("pre", { tabindex: 0, role: "group", "aria-label": "Commands" }, `${command}\ncountersign --as bob approve ID`),
    ),
  );
  const typed = () => input.value.trim();
  return { element, value: typed, check: () => setFault(input, ACCOUNT.test(typed()) ? "" : "Enter your account.") };
}

function radio(name: string, value: string, label: string, hint: string, checked: boolean): HTMLElement {
  return h(
    "label",
    { class: "choice" },
    h("input", { type: "radio", name, value, checked }),
    h("span", { class: "face", "aria-hidden": "true" }, initials(label)),
    h("span", { class: "row-main" }, h("strong", {}, label), hint && h("small", {}, hint)),
  );
}

/** `5,200.00` and `12,50` as people type them. */
function normal(text: string): string {
  const plain = text.trim().replace(/[\s$]/g, "");
  return /,\d{1,2}$/.test(plain) ? plain.replace(/\./g, "").replace(",", ".") : plain.replace(/,/g, "");
}

function faultOf(amount: string): string {
  if (!amount) return "Enter an amount.";
  return AMOUNT.test(amount) ? "" : "Enter an amount above zero, such as 52.00.";
}

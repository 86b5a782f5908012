/** Signing in: a demonstration customer, or an account of identity where it runs. */

import { h, icon, ICONS, initials } from "../dom.js";
import { CUSTOMERS, hasIdentity, Session, SignInFailed } from "../session.js";
import { field, heading, setFault } from "./parts.js";

type SignedIn = (session: Session) => void;

export function signInView(signedIn: SignedIn): HTMLElement {
  const accounts = h("div", { class: "stack" });
  const view = h(
    "section",
    { class: "stack wide" },
    heading("Who is paying?"),
    h("p", { class: "lead" }, "Choose a customer of the demonstration. No password is needed."),
    h("ul", { class: "list" }, ...CUSTOMERS.map((one) => h("li", {}, customerButton(one, signedIn)))),
    accounts,
  );
  void hasIdentity().then((runs) => runs && accounts.append(passwordForm(signedIn)));
  return view;
}

function customerButton(customer: (typeof CUSTOMERS)[number], signedIn: SignedIn): HTMLElement {
  const onclick = () => signedIn(Session.ofDemo(customer));
  return h(
    "button",
    { type: "button", class: "row", onclick },
    h("span", { class: "face", "aria-hidden": "true" }, initials(customer.name)),
    h("span", { class: "row-main" }, h("strong", {}, customer.name), h("small", {}, customer.hint)),
    icon(ICONS.arrow),
  );
}

function passwordForm(signedIn: SignedIn): HTMLElement {
  const email = h("input", { id: "email", type: "email", autocomplete: "username", required: true });
  const password = h("input", { id: "password", type: "password", autocomplete: "current-password", required: true });
  const fault = h("p", { class: "fault", role: "alert" });
  const enter = async (open: (email: string, password: string) => Promise<Session>) => {
    const isMissing = setFault(email, email.value.includes("@") ? "" : "Enter your e-mail address.");
    if (setFault(password, password.value ? "" : "Enter your password.") || isMissing) return;
    fault.textContent = "";
    buttons.forEach((one) => (one.disabled = true));
    try {
      signedIn(await open(email.value, password.value));
    } catch (error) {
      const isRefused = error instanceof SignInFailed;
      fault.textContent = isRefused ? error.message : "Sign-in does not respond. Try again in a moment.";
    } finally {
      buttons.forEach((one) => (one.disabled = false));
    }
  };
  const register = () => void enter((...typed) => Session.register(...typed));
  const buttons = [
    h("button", { class: "primary" }, "Sign in"),
    h("button", { type: "button", onclick: register }, "Open an account"),
  ];
  const onsubmit = (event: Event) => {
    event.preventDefault();
    void enter((...typed) => Session.ofPassword(...typed));
  };
  return h(
    "form",
    { class: "card stack", novalidate: true, onsubmit },
    h("h2", {}, "Or sign in with your account"),
    field("E-mail address", email),
    field("Password", password, "At least 8 characters"),
    fault,
    h("div", { class: "actions" }, ...buttons),
  );
}

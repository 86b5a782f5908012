/** The page: who is signed in, which view is shown, and what happens between views. */

import { App, go } from "./app.js";
import { isConnected } from "./connection.js";
import { h, icon, ICONS } from "./dom.js";
import { Session } from "./session.js";
import { homeView } from "./views/home.js";
import { payView } from "./views/pay.js";
import { paymentView } from "./views/payment.js";
import { reviewView } from "./views/review.js";
import { signInView } from "./views/sign-in.js";

const main = document.getElementById("main") as HTMLElement;
const bar = document.getElementById("bar") as HTMLElement;
const connection = document.getElementById("connection") as HTMLElement;

let app: App | null = null;

function signedIn(session: Session): void {
  app = new App(session);
  show();
}

function signOut(): void {
  app?.end();
  app = null;
  go("/", true);
  show();
}

/** Show the view of the address. The heading gets the focus: it says where one is. */
function show(): void {
  const [, name = "", id = ""] = location.hash.replace(/^#/, "").split("/");
  if (name === "sign-out") {
    signOut();
    return;
  }
  const view = app ? viewOf(app, name, decodeURIComponent(id)) : signInView(signedIn);
  if (!view) {
    go("/", true);
    return;
  }
  bar.replaceChildren(...barOf(app));
  main.replaceChildren(view);
  const heading = view.querySelector("h1");
  document.title = `${heading?.textContent ?? "Wallet"} – Countersign`;
  window.scrollTo(0, 0);
  if (!view.contains(document.activeElement)) heading?.focus({ preventScroll: true });
}

function viewOf(signed: App, name: string, id: string): HTMLElement | null {
  switch (name) {
    case "":
      return homeView(signed);
    case "pay":
      return payView(signed);
    case "review":
      return reviewView(signed);
    case "payment":
      return paymentView(signed, id);
    default:
      return null;
  }
}

function barOf(signed: App | null): HTMLElement[] {
  const brand = h("a", { class: "brand", href: "#/" }, h("span", { class: "logo", "aria-hidden": "true" }, icon(ICONS.check)), "Countersign");
  if (!signed) return [brand];
  const out = h("button", { type: "button", class: "quiet", onclick: signOut }, icon(ICONS.out), "Sign out");
  return [brand, out];
}

function showConnection(): void {
  connection.textContent = isConnected() ? "" : "No connection. Payments go on when it is back.";
}

document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault(); // the address is that of a view
  main.focus();
});
window.addEventListener("hashchange", show);
window.addEventListener("connection", showConnection);
const session = Session.current();
if (session) app = new App(session);
show();

// Toasts, the alert of answerCallbackQuery, and what a screen reader is told.

import { byId, h, icon, safeUrl } from "./dom.js";

export function toast(text, { kind = "info", url = null, sender = null } = {}) {
  const href = url && safeUrl(url);
  const node = h("div", { class: `toast toast--${kind}`, "data-testid": "toast" },
    kind === "error" ? icon("alert") : null,
    h("span", { class: "toast-text" }, sender ? h("b", {}, `${sender} `) : null, text),
    href ? h("a", { href, target: "_blank", rel: "noopener noreferrer" }, "Open") : null);
  byId("toasts").append(node);
  const leave = () => {
    node.classList.add("is-leaving");
    setTimeout(() => node.remove(), 250);
  };
  node.addEventListener("click", leave);
  setTimeout(leave, Math.min(9000, 3200 + text.length * 40));
}

export const complain = (error) => toast(error.message, { kind: "error" });

export function showAlert(text) {
  const dialog = byId("alert");
  byId("alert-text").textContent = text;
  if (!dialog.open) dialog.showModal();
}

export function announce(text) {
  byId("announcer").textContent = text;
}

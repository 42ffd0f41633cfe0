// The left column: who writes to the bot.

import { api } from "./api.js";
import { byId, h } from "./dom.js";
import { clockTime, hue, initials } from "./format.js";
import { complain } from "./notices.js";
import { emit, excerpt, lastMessage, on, state } from "./state.js";

const LANGUAGES = ["en", "ru", "de", "es", "fr", "it", "pt", "pl", "uk", "tr", "ar", "fa", "hi", "id", "ja", "ko", "zh"];
const languageNames = new Intl.DisplayNames(["en"], { type: "language" });

const fullName = (user) => [user.first_name, user.last_name].filter(Boolean).join(" ");

function languageName(code) {
  try {
    return languageNames.of(code);
  } catch {
    return code;
  }
}

function item(user) {
  const last = lastMessage(user.id);
  const unread = state.unread.get(user.id) ?? 0;
  const current = user.id === state.current;
  const name = fullName(user);
  return h("li", {}, h("button", {
    type: "button", class: `person${current ? " is-current" : ""}`, "aria-current": current ? "true" : null, title: name,
    "data-testid": "user-item", "data-user-id": user.id, onclick: () => selectUser(user.id),
  },
  h("span", { class: "person-avatar" },
    h("span", { class: `avatar ${hue(user.id)}`, "aria-hidden": "true" }, initials(name)),
    h("span", { class: "tag", title: languageName(user.language_code) }, user.language_code.slice(0, 2).toUpperCase())),
  h("span", { class: "person-body" },
    h("span", { class: "person-line" },
      h("span", { class: "person-name" }, name),
      user.is_admin ? h("span", { class: "tag tag--admin", title: "The bot knows this user as an admin" }, "admin") : null,
      last ? h("time", { class: "person-time" }, clockTime(last.edit_date ?? last.date)) : null),
    h("span", { class: "person-line" },
      h("span", { class: "person-last" }, last ? `${last.author === "user" ? "You: " : ""}${excerpt(last)}` : "No messages yet"))),
  unread ? h("span", { class: "badge", "aria-label": `${unread} unread` }, String(unread)) : null));
}

function show() {
  const list = byId("people-list");
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.userId : null;
  list.replaceChildren(...[...state.users.values()].map(item));
  if (focused) list.querySelector(`[data-user-id="${CSS.escape(focused)}"]`)?.focus();
  const total = [...state.unread.values()].reduce((sum, count) => sum + count, 0);
  document.title = `${total ? `(${total}) ` : ""}${state.bot?.first_name ?? "Tracegram"} · sandbox`;
}

export function selectUser(uid) {
  if (uid === state.current) return;
  state.current = uid;
  state.unread.delete(uid);
  state.replyTo = null;
  sessionStorage.setItem("user", String(uid));
  show();
  emit("user-selected", uid);
}

function startDialog() {
  const dialog = byId("user-dialog");
  byId("user-language").append(...LANGUAGES.map((code) => h("option", { value: code }, `${languageName(code)} (${code})`)));
  byId("people-new").addEventListener("click", () => {
    byId("user-form").reset();
    dialog.showModal();
  });
  byId("user-cancel").addEventListener("click", () => dialog.close());
  byId("user-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const first_name = byId("user-name").value.trim();
    if (!first_name) return;
    dialog.close();
    try {
      const user = await api.createUser({ first_name, language_code: byId("user-language").value });
      state.users.set(user.id, user);
      selectUser(user.id);
      byId("composer").focus();
    } catch (error) {
      complain(error);
    }
  });
}

export function startUsers() {
  startDialog();
  for (const topic of ["synced", "users", "message-new", "message-changed", "message-deleted"]) on(topic, show);
}

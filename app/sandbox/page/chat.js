// The conversation of the current user: which bubbles are there, in which order, and where the view stands.

import { byId, h, icon } from "./dom.js";
import { dayKey, dayName, hue, initials } from "./format.js";
import { createMessage, patchMessage } from "./message.js";
import { chatOf, messagesOf, now, on, state } from "./state.js";

const NEAR_BOTTOM_PX = 120;
const GROUP_SECONDS = 300;

let stream;
let actions;
/** message_id -> view */
let views = new Map();
let typing;
let unseen = 0;
/** Whether the view follows new messages: until the person scrolls up, also while a smooth scroll is under way. */
let resting = true;
let lastTop = 0;

const atBottom = () => stream.scrollHeight - stream.scrollTop - stream.clientHeight < NEAR_BOTTOM_PX;

function toBottom(smooth) {
  stream.scrollTo({ top: stream.scrollHeight, behavior: smooth && !matchMedia("(prefers-reduced-motion: reduce)").matches ? "smooth" : "instant" });
  unseen = 0;
  resting = true;
  byId("to-bottom").hidden = true;
}

function onScroll() {
  if (stream.scrollTop < lastTop - 1) resting = atBottom();
  else if (atBottom()) resting = true;
  lastTop = stream.scrollTop;
  if (!resting) return;
  unseen = 0;
  byId("to-bottom").hidden = true;
}

function emptyState() {
  if (!state.bot) {
    const address = `${location.origin}/bot<token>/<method>`;
    return h("div", { class: "empty" }, h("span", { class: "empty-mark" }, icon("logo")),
      h("h2", {}, "Waiting for a bot"),
      h("p", {}, "Start your bot with this Bot API address. Any token such as 42:TEST makes a bot at its first call."),
      h("code", { class: "empty-code" }, address));
  }
  const name = state.users.get(state.current)?.first_name ?? "somebody";
  const starters = [{ title: "/start", text: "/start" }, ...state.samples.map(({ title, url }) => ({ title, text: url }))];
  return h("div", { class: "empty", "data-testid": "empty" }, h("span", { class: `avatar avatar--big ${hue(state.bot.id)}` }, initials(state.bot.first_name)),
    h("h2", {}, `${name} has not written to ${state.bot.first_name} yet`),
    h("p", {}, state.samples.length ? "Say /start, or send one of the sample links." : "Say /start and see what the bot answers."),
    h("div", { class: "empty-actions" }, starters.slice(0, 5).map((starter, index) =>
      h("button", { type: "button", class: index ? "plain" : "primary", onclick: () => actions.sendText(starter.text) }, starter.title))));
}

/** Day dividers, and which bubbles belong together, follow from the neighbours: done anew after each change. */
function arrange() {
  stream.querySelectorAll(".day").forEach((node) => node.remove());
  let before = null;
  for (const message of messagesOf(state.current)) {
    const { node } = views.get(message.message_id);
    const newDay = !before || dayKey(before.date) !== dayKey(message.date);
    if (newDay) node.before(h("div", { class: "day" }, h("span", {}, dayName(message.date, now()))));
    const joined = !newDay && before.author === message.author && message.date - before.date < GROUP_SECONDS;
    node.classList.toggle("is-joined", joined);
    before = message;
  }
}

function place(message, animate) {
  const view = createMessage(message, actions);
  views.set(message.message_id, view);
  view.node.classList.toggle("is-arriving", animate);
  const after = messagesOf(state.current).find((other) => other.message_id > message.message_id && views.has(other.message_id));
  stream.insertBefore(view.node, after ? views.get(after.message_id).node : typing);
  view.node.querySelectorAll("img, video").forEach((media) => {
    media.addEventListener(media.tagName === "IMG" ? "load" : "loadedmetadata", () => resting && toBottom(false), { once: true });
  });
}

function showEmpty() {
  stream.querySelector(".empty")?.remove();
  if (!chatOf(state.current).size) stream.prepend(emptyState());
}

/** Makes the page equal to the state, keeping every bubble that is still there. */
export function showChat({ fresh = false } = {}) {
  if (fresh) {
    views.forEach(({ node }) => node.remove());
    views = new Map();
  }
  const stick = fresh || resting;
  const messages = messagesOf(state.current);
  const ids = new Set(messages.map((message) => message.message_id));
  for (const [id, view] of views) {
    if (ids.has(id)) continue;
    view.node.remove();
    views.delete(id);
  }
  for (const message of messages) {
    const view = views.get(message.message_id);
    // After a restart of the sandbox the same id may be the other side's message.
    if (view && view.node.dataset.author !== message.author) {
      view.node.remove();
      views.delete(message.message_id);
    }
    if (views.has(message.message_id)) patchMessage(view, message, actions);
    else place(message, false);
  }
  showEmpty();
  arrange();
  markSelected();
  showTyping();
  if (stick) toBottom(false);
}

function showNew(message) {
  if (message.chat_id !== state.current) return;
  const stick = resting || message.author === "user";
  place(message, true);
  showEmpty();
  arrange();
  showTyping();
  if (stick) return toBottom(true);
  unseen += 1;
  byId("to-bottom-text").textContent = unseen === 1 ? "1 new message" : `${unseen} new messages`;
  byId("to-bottom").hidden = false;
  return undefined;
}

function refresh(messageId) {
  const message = chatOf(state.current).get(messageId);
  const view = views.get(messageId);
  if (!message || !view) return;
  patchMessage(view, message, actions);
  if (resting) toBottom(false);
}

function remove(messageId) {
  const view = views.get(messageId);
  if (!view) return;
  view.node.remove();
  views.delete(messageId);
  showEmpty();
  arrange();
}

const ACTION_TEXT = {
  typing: "is typing", upload_voice: "is sending audio", record_voice: "is recording", upload_audio: "is sending audio",
  upload_video: "is sending a video", record_video: "is recording a video", upload_photo: "is sending a photo",
  upload_document: "is sending a file", choose_sticker: "is choosing a sticker", find_location: "is looking for a place",
};

function showTyping() {
  const action = state.actions.get(state.current);
  const active = action && action.until > Date.now();
  if (active) {
    typing.replaceChildren(h("span", { class: "typing-dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
      h("span", {}, `${state.bot?.first_name ?? "The bot"} ${ACTION_TEXT[action.action] ?? "is busy"}…`));
  }
  typing.hidden = !active;
  if (active && resting) toBottom(true);
}

function markSelected() {
  for (const [id, view] of views) view.node.classList.toggle("is-selected", id === state.selected);
}

export function reveal(messageId) {
  const view = views.get(messageId);
  if (!view) return;
  view.node.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth" });
  view.node.classList.remove("is-flashing");
  requestAnimationFrame(() => view.node.classList.add("is-flashing"));
}

export function startChat(chatActions) {
  actions = { ...chatActions, reveal };
  stream = byId("stream");
  typing = h("div", { class: "typing", role: "status", "data-testid": "chat-action", hidden: true });
  stream.append(typing);
  byId("to-bottom").addEventListener("click", () => toBottom(true));
  stream.addEventListener("scroll", onScroll);
  new ResizeObserver(() => resting && toBottom(false)).observe(stream);
  on("user-selected", () => showChat({ fresh: true }));
  on("synced", () => showChat());
  on("message-new", showNew);
  on("message-changed", (message) => refresh(message.message_id));
  on("message-deleted", remove);
  on("pending", refresh);
  on("summaries", () => views.forEach((_view, id) => refresh(id)));
  on("action", () => {
    showTyping();
    setTimeout(showTyping, 5100);
  });
  on("selected", markSelected);
}

// One message as an element. It is built of parts, and an edit replaces only the parts that differ: a playing audio
// goes on and nothing flickers while a progress bar is edited twenty times.

import { h, icon, safeUrl } from "./dom.js";
import { isJumbo, renderText } from "./entities.js";
import { clockTime, duration, plural } from "./format.js";
import { renderAttachment } from "./media.js";
import { isPending, press } from "./presses.js";
import { excerpt, findMessage, mainTrace, outcome, state } from "./state.js";

function quote(message, actions) {
  const target = findMessage(message.reply_to_message_id);
  const author = target?.author === "bot" ? (state.bot?.first_name ?? "Bot") : (state.users.get(message.chat_id)?.first_name ?? "User");
  return h("button", { type: "button", class: "quote", onclick: () => actions.reveal(message.reply_to_message_id) },
    h("b", {}, target ? author : "Reply"), h("span", {}, target ? excerpt(target) : "The message is gone"));
}

function keyButton(message, button) {
  const busy = isPending(message.message_id, button);
  const href = button.url && safeUrl(button.url);
  if (href) {
    return h("a", { class: "key", href, target: "_blank", rel: "noopener noreferrer", "data-testid": "keyboard-button" },
      h("span", { class: "key-text" }, button.text), icon("link"));
  }
  return h("button", {
    type: "button", class: "key", "data-testid": "keyboard-button", "aria-busy": String(busy),
    disabled: button.callback_data === undefined, onclick: () => press(message, button),
  }, h("span", { class: "key-text" }, button.text), busy ? h("span", { class: "spinner" }) : null);
}

function keyboard(message) {
  return h("div", { class: "keyboard", role: "group", "aria-label": "Buttons" },
    message.keyboard.map((row) => h("div", { class: "keyboard-row" }, row.map((button) => keyButton(message, button)))));
}

function traceChip(message, actions) {
  const main = mainTrace(message);
  const how = main ? outcome(main) : "ok";
  const failed = how === "error";
  const more = message.trace_ids.length > 1 ? ` · ${message.trace_ids.length} traces` : "";
  const label = main ? `${how === "running" ? "running" : duration(main.duration_ms)} · ${plural(main.span_count, "span")}${more}` : "trace";
  return h("button", {
    type: "button", class: `trace-chip${failed ? " is-error" : ""}`, "data-testid": "trace-chip", title: "Show the trace that made this message",
    "aria-label": `Trace: ${label}${failed ? ", with an error" : ""}`, onclick: () => actions.openTrace(message.message_id),
  }, icon(failed ? "alert" : "trace"), label);
}

function textBody(message, actions) {
  const node = h("div", { class: "text", dir: "auto", "data-testid": "message-text" }, renderText(message.text, message.entities, actions.sendCommand));
  node.classList.toggle("text--jumbo", isJumbo(message.text));
  // Beside a last line of text there is room for the time, beside a block there is none.
  node.classList.toggle("text--block-end", ["PRE", "BLOCKQUOTE"].includes(node.lastChild?.nodeName));
  return node;
}

const PARTS = [
  { slot: "quote", of: (m) => m.reply_to_message_id && [m.reply_to_message_id, findMessage(m.reply_to_message_id)?.seq], render: quote },
  { slot: "media", of: (m) => m.attachment && [m.attachment.file_id, m.attachment.url], render: (m) => renderAttachment(m.attachment) },
  {
    slot: "text",
    of: (m) => m.text && [m.text, m.entities],
    render: textBody,
  },
  {
    slot: "meta",
    of: (m) => [m.date, m.edit_date],
    render: (m) => h("div", { class: "meta" }, m.edit_date ? h("span", { class: "edited", "data-testid": "edited" }, "edited") : null,
      h("time", { datetime: new Date(m.date * 1000).toISOString(), title: new Date(m.date * 1000).toLocaleString() }, clockTime(m.date))),
  },
  {
    slot: "keys",
    of: (m) => m.keyboard?.length && [m.keyboard, m.keyboard.flat().map((button) => isPending(m.message_id, button))],
    render: keyboard,
  },
  { slot: "chip", of: (m) => m.trace_ids.length && [m.trace_ids, mainTrace(m)], render: traceChip },
];

export function createMessage(message, actions) {
  const slot = (name) => h("div", { class: `slot slot--${name}` });
  const slots = Object.fromEntries(PARTS.map(({ slot: name }) => [name, slot(name)]));
  const node = h("article", {
    class: `msg msg--${message.author}`, "data-testid": "message", "data-message-id": message.message_id, "data-author": message.author,
    "aria-label": message.author === "bot" ? "From the bot" : "From you",
  },
  h("div", { class: "bubble" }, slots.quote, slots.media, slots.text, slots.meta,
    h("button", { type: "button", class: "ghost ghost--small msg-reply", "aria-label": "Reply", title: "Reply", onclick: () => actions.reply(message.message_id) }, icon("reply"))),
  slots.keys, slots.chip);
  node.addEventListener("click", (event) => {
    const busy = event.target.closest("a, button, input, video, [role=button]");
    if (!busy && !String(getSelection())) actions.select(message.message_id);
  });
  const view = { node, slots, signs: {} };
  patchMessage(view, message, actions);
  return view;
}

export function patchMessage(view, message, actions) {
  for (const { slot, of, render } of PARTS) {
    const sign = JSON.stringify(of(message) || null);
    if (view.signs[slot] === sign) continue;
    view.signs[slot] = sign;
    const focused = view.slots[slot].contains(document.activeElement);
    view.slots[slot].replaceChildren(...(sign === "null" ? [] : [render(message, actions)]));
    // A pressed button is replaced by its spinning twin: the keyboard user must not lose the place.
    if (focused) view.slots[slot].querySelector("button, a")?.focus({ preventScroll: true });
  }
  view.node.classList.toggle("has-media", Boolean(message.attachment));
  view.node.classList.toggle("has-visual", ["photo", "video"].includes(message.attachment?.kind));
  view.node.classList.toggle("is-jumbo", !message.attachment && isJumbo(message.text));
}

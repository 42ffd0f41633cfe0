// Text with Telegram's entities as DOM nodes. Offsets count UTF-16 units, as JavaScript strings do.

import { h, safeUrl } from "./dom.js";

const TAGS = { bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code" };

function anchor(url, children, type) {
  const href = safeUrl(url);
  if (!href) return h("span", {}, children);
  return h("a", { href, class: `e-${type}`, target: "_blank", rel: "noopener noreferrer" }, children);
}

function spoiler(children) {
  const node = h("span", { class: "e-spoiler", role: "button", tabindex: "0", "aria-label": "Hidden text, press to show" }, h("span", {}, children));
  const reveal = (event) => {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    node.classList.add("is-open");
    node.removeAttribute("role");
    node.removeAttribute("tabindex");
    node.removeAttribute("aria-label");
  };
  node.addEventListener("click", reveal);
  node.addEventListener("keydown", reveal);
  return node;
}

function command(raw, children, onCommand) {
  return h("button", { type: "button", class: "e-command", onclick: () => onCommand(raw) }, children);
}

function wrap(entity, raw, children, onCommand) {
  switch (entity.type) {
    case "bold": case "italic": case "underline": case "strikethrough": case "code":
      return h(TAGS[entity.type], {}, children);
    case "pre":
      return h("pre", { "data-language": entity.language ?? null }, h("code", {}, children));
    case "blockquote": case "expandable_blockquote":
      return h("blockquote", {}, children);
    case "spoiler":
      return spoiler(children);
    case "url":
      return anchor(raw, children, "url");
    case "text_link":
      return anchor(entity.url ?? "", children, "url");
    case "email":
      return anchor(`mailto:${raw}`, children, "email");
    case "phone_number":
      return anchor(`tel:${raw.replace(/[^+\d]/g, "")}`, children, "phone");
    case "bot_command":
      return command(raw, children, onCommand);
    case "mention": case "hashtag": case "cashtag": case "text_mention":
      return h("span", { class: "e-mention" }, children);
    default:
      return h("span", {}, children);
  }
}

const BLOCKS = new Set(["pre", "blockquote", "expandable_blockquote"]);

/** Entities nest or are apart; one that sticks out of the one around it is cut there. */
function build(text, start, end, entities, onCommand) {
  const nodes = [];
  let at = start;
  let index = 0;
  while (index < entities.length) {
    const entity = entities[index];
    const from = Math.max(entity.offset, at);
    const to = Math.min(entity.offset + entity.length, end);
    index += 1;
    if (from >= to) continue;
    if (from > at) nodes.push(text.slice(at, from));
    const inner = [];
    while (index < entities.length && entities[index].offset < to) inner.push(entities[index++]);
    nodes.push(wrap(entity, text.slice(from, to), build(text, from, to, inner, onCommand), onCommand));
    // A block ends its line already: the line feed after it would show as an empty line.
    at = BLOCKS.has(entity.type) && text[to] === "\n" && to < end ? to + 1 : to;
  }
  if (at < end) nodes.push(text.slice(at, end));
  return nodes;
}

export function renderText(text, entities, onCommand) {
  const sorted = [...(entities ?? [])].sort((a, b) => a.offset - b.offset || b.length - a.length);
  return build(text, 0, text.length, sorted, onCommand);
}

/** One to three emoji and nothing else are shown large. */
export function isJumbo(text) {
  if (!text || text.length > 24 || /[\p{L}\p{N}]/u.test(text)) return false;
  const parts = [...new Intl.Segmenter().segment(text.trim())].map((part) => part.segment);
  return parts.length <= 3 && parts.every((part) => /\p{Extended_Pictographic}/u.test(part));
}

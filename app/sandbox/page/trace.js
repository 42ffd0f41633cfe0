// The right column: which traces are shown, as tabs, and whether they follow the newest message or stay with a chosen one.

import { api } from "./api.js";
import { byId, copyButton, h, icon } from "./dom.js";
import { duration } from "./format.js";
import { complain } from "./notices.js";
import { chatOf, emit, excerpt, findMessage, mainTrace, messagesOf, on, outcome, pressTrace, state } from "./state.js";
import { createTraceView } from "./traceview.js";

const SETTLE_MS = 200;

let panel;
let view = null;
let traces = [];
/** Traces that were opened by a link, beyond those of the message. */
let extra = [];
let chosen = null;
/** Whether the person picked the tab; otherwise it is the trace of the last press, or the one that made the message. */
let picked = false;
let pinned = false;
let timer = null;
/** The newest reading: the answer to an older one is of no interest. */
let reading = 0;
let reveal;

const all = () => [...traces, ...extra.filter((trace) => !traces.some((other) => other.trace_id === trace.trace_id))];

/** Where the newest thing happened: the last message with a trace, or an older one if its button was pressed since. */
function newestTraced() {
  const newest = messagesOf(state.current).findLast((message) => message.trace_ids.length) ?? null;
  const pressed = state.lastPress && chatOf(state.current).get(state.lastPress.messageId);
  return pressed && (!newest || newest.date + 1 < state.lastPress.at) ? pressed : newest;
}

function emptyState() {
  const message = findMessage(state.selected);
  const endpoint = `OTEL_EXPORTER_OTLP_ENDPOINT=${location.origin}`;
  return h("div", { class: "empty empty--trace", "data-testid": "trace-empty" }, h("span", { class: "empty-mark" }, icon("trace")),
    h("h2", {}, message ? "No trace of this message yet" : "Traces appear here"),
    h("p", {}, message
      ? "Spans arrive a moment after the message. If none come, let the bot export them to this sandbox:"
      : "Each message of the bot comes with the trace that made it. A bot of yours exports its spans like this:"),
    h("div", { class: "empty-code" }, h("code", {}, endpoint), copyButton(endpoint, "Copy the setting")));
}

function tabs() {
  return h("div", { class: "tabs", role: "tablist", "aria-label": "Traces of this message" }, all().map((trace) =>
    h("button", {
      type: "button", role: "tab", class: "tab", "aria-selected": String(trace.trace_id === chosen), "data-testid": "trace-tab",
      tabindex: trace.trace_id === chosen ? "0" : "-1", onclick: () => choose(trace.trace_id),
    }, h("i", { class: `status-dot is-${outcome(trace)}` }), h("span", {}, trace.root), h("small", {}, duration(trace.duration_ms)))));
}

function moveTab(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || event.target.getAttribute("role") !== "tab") return;
  const list = all();
  const at = list.findIndex((trace) => trace.trace_id === chosen);
  choose(list[(at + step + list.length) % list.length].trace_id);
  panel.querySelector("[role=tab][aria-selected=true]").focus();
}

function heading() {
  const message = findMessage(state.selected);
  return h("header", { class: "trace-top" },
    h("h2", {}, icon("trace"), "Trace"),
    message ? h("button", { type: "button", class: "trace-for", title: "Show the message", onclick: () => reveal(message.message_id) }, excerpt(message)) : h("span", { class: "trace-for" }),
    h("button", {
      type: "button", class: "follow", "aria-pressed": String(!pinned), "data-testid": "follow",
      title: pinned ? "Follow the newest message again" : "Follows the newest message", onclick: () => (pinned ? follow() : pin()),
    }, pinned ? icon("pin") : h("i", { class: "live" }), pinned ? "Pinned" : "Newest"),
    h("button", { type: "button", class: "ghost trace-close", "aria-label": "Close the trace", onclick: closeSheet }, icon("close")));
}

function draw() {
  const list = all();
  const message = findMessage(state.selected);
  if (!picked && message) chosen = ((!pinned && pressTrace(message, traces)) || mainTrace(message))?.trace_id ?? chosen;
  const current = list.find((trace) => trace.trace_id === chosen) ?? list[0];
  chosen = current?.trace_id ?? null;
  const focusedTop = panel.querySelector(".trace-top")?.contains(document.activeElement) ? document.activeElement.className : null;
  byId("trace-top").replaceChildren(heading());
  if (focusedTop) byId("trace-top").querySelector(`.${focusedTop.split(" ").join(".")}`)?.focus();
  byId("trace-tabs").replaceChildren(...(list.length > 1 ? [tabs()] : []));
  byId("trace-empty").replaceChildren(...(current ? [] : [emptyState()]));
  byId("trace-view").hidden = !current;
  if (current) view.show(current);
}

function choose(traceId) {
  chosen = traceId;
  picked = true;
  draw();
}

async function load() {
  const id = state.selected;
  reading += 1;
  const mine = reading;
  if (id === null) {
    traces = [];
    return draw();
  }
  try {
    const found = await api.tracesOf(id);
    if (mine !== reading) return undefined;
    traces = found.filter((trace) => trace.spans.length);
    const message = findMessage(id);
    // Events tell of traces as they arrive; this answer tells whose they are, the message's own first.
    if (message) message.trace_ids = found.map((trace) => trace.trace_id);
  } catch (error) {
    if (mine !== reading) return undefined;
    traces = [];
    if (findMessage(id)) complain(error);
  }
  return draw();
}

async function openTrace(traceId, spanId) {
  if (!all().some((trace) => trace.trace_id === traceId)) {
    try {
      extra = [...extra, await api.trace(traceId)];
    } catch (error) {
      return complain(error);
    }
  }
  choose(traceId);
  if (spanId && all().find((trace) => trace.trace_id === traceId).spans.some((span) => span.span_id === spanId)) view.reach(spanId);
  return undefined;
}

function select(messageId) {
  if (messageId === state.selected) return;
  state.selected = messageId;
  extra = [];
  traces = [];
  chosen = null;
  picked = false;
  emit("selected");
  load();
}

function pin() {
  pinned = true;
  draw();
}

function follow() {
  pinned = false;
  select(newestTraced()?.message_id ?? null);
  draw();
}

/** A click on a message stays with it; on a narrow page only its chip opens the sheet. */
export function selectMessage(messageId) {
  pinned = true;
  select(messageId);
  draw();
}

export function openMessageTrace(messageId) {
  selectMessage(messageId);
  openSheet();
}

const narrow = matchMedia("(max-width: 900px)");
let opener = null;

/** While the sheet is open, the page behind it takes no focus. */
function setBehind(inert) {
  byId("chat").inert = inert;
  document.querySelector(".people").inert = inert;
}

export function openSheet() {
  if (!narrow.matches) return;
  opener = document.activeElement;
  setBehind(true);
  panel.classList.add("is-open");
  byId("backdrop").hidden = false;
  panel.querySelector(".trace-close").focus();
}

function closeSheet() {
  if (!panel.classList.contains("is-open")) return;
  setBehind(false);
  panel.classList.remove("is-open");
  byId("backdrop").hidden = true;
  opener?.focus();
}

function onPress(messageId) {
  if (!pinned && messageId === state.selected) picked = false;
}

function onTrace({ trace_id: traceId, message_ids: messageIds }) {
  if (!pinned) select(newestTraced()?.message_id ?? null);
  const shown = messageIds.includes(state.selected) || all().some((trace) => trace.trace_id === traceId || trace.linked_trace_ids?.includes(traceId));
  if (!shown || timer) return;
  // Spans come in small batches; drawing each would only make the panel restless.
  timer = setTimeout(() => {
    timer = null;
    load();
  }, SETTLE_MS);
}

export function startTrace({ revealMessage }) {
  reveal = (messageId) => {
    closeSheet();
    revealMessage(messageId);
  };
  panel = byId("trace");
  panel.append(h("div", { id: "trace-top" }), h("div", { id: "trace-tabs" }), h("div", { id: "trace-empty" }), h("div", { id: "trace-view", class: "trace-view", hidden: true }));
  view = createTraceView(byId("trace-view"), openTrace);
  panel.addEventListener("keydown", moveTab);
  byId("trace-open").addEventListener("click", openSheet);
  byId("backdrop").addEventListener("click", closeSheet);
  narrow.addEventListener("change", closeSheet);
  document.addEventListener("keydown", (event) => event.key === "Escape" && closeSheet());
  on("trace", onTrace);
  on("pressed", onPress);
  on("summaries", draw);
  on("user-selected", follow);
  on("synced", () => {
    if (!findMessage(state.selected)) follow();
    else load();
  });
  on("message-deleted", (messageId) => messageId === state.selected && follow());
  draw();
}

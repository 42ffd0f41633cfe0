// The drawer that makes Telegram misbehave: faults on the next calls, a duplicate delivery, and the clock.

import { api } from "./api.js";
import { byId, h, icon } from "./dom.js";
import { complain, toast } from "./notices.js";
import { emit, on, state } from "./state.js";

const PRESETS = [
  {
    title: "Flood limit", hint: "429 with retry_after 3 on the next sendMessage",
    fault: { method: "sendMessage", kind: "error", error_code: 429, description: "Too Many Requests: retry after 3", retry_after: 3, times: 1 },
  },
  {
    title: "Server error", hint: "500 on the next editMessageText",
    fault: { method: "editMessageText", kind: "error", error_code: 500, description: "Internal Server Error", times: 1 },
  },
  { title: "Slow answers", hint: "5 s late, for the next three calls", fault: { method: "*", kind: "delay", delay_s: 5, times: 3 } },
  { title: "Lost call", hint: "The next sendMessage is cut off before it is carried out", fault: { method: "sendMessage", kind: "drop", times: 1 } },
  { title: "Lost answer", hint: "The next sendMessage is carried out, then cut off", fault: { method: "sendMessage", kind: "drop", after: true, times: 1 } },
  { title: "Broken JSON", hint: "The next answer to sendMessage cannot be read", fault: { method: "sendMessage", kind: "bad_json", times: 1 } },
];

let active = [];
let poll = null;

function describe(fault) {
  const what = {
    error: `${fault.error_code ?? 500}${fault.retry_after ? `, retry after ${fault.retry_after} s` : ""}`,
    delay: `${fault.delay_s ?? 0} s late`, drop: fault.after ? "answer lost" : "call lost", bad_json: "broken JSON",
  }[fault.kind] ?? fault.kind;
  return [h("b", {}, fault.method === "*" ? "any method" : fault.method), ` ${what}`, h("span", { class: "tag" }, `${fault.times} ×`)];
}

async function attempt(work, said) {
  try {
    await work();
    if (said) toast(said);
    await load();
  } catch (error) {
    complain(error);
  }
}

function preset({ title, hint, fault }) {
  return h("button", { type: "button", class: "preset", onclick: () => attempt(() => api.addFault(fault), `Armed: ${title.toLowerCase()}`) },
    h("b", {}, title), h("span", {}, hint));
}

async function resend() {
  await api.redeliver(state.lastUpdate.get(state.current));
}

async function advance() {
  state.clockOffset = (await api.advance(300)).offset_s ?? state.clockOffset;
  emit("clock");
}

function resetButton() {
  const button = h("button", { type: "button", class: "plain plain--danger" }, icon("trash"), h("span", {}, "Forget everything"));
  let sure = false;
  button.addEventListener("click", () => {
    if (sure) return attempt(api.reset);
    sure = true;
    button.lastChild.textContent = "Sure? Press again";
    setTimeout(() => {
      sure = false;
      button.lastChild.textContent = "Forget everything";
    }, 3000);
    return undefined;
  });
  return button;
}

function clockText() {
  const minutes = Math.round(state.clockOffset / 60);
  return minutes ? `The clock is ${minutes} min ahead` : "The clock shows the real time";
}

function show() {
  const count = byId("faults-count");
  count.hidden = !active.length;
  count.textContent = String(active.length);
  const list = active.length
    ? h("ul", { class: "faults-active" }, active.map((fault) => h("li", { "data-testid": "fault" }, describe(fault))))
    : h("p", { class: "faults-none" }, "Nothing is armed: Telegram behaves.");
  byId("faults-list")?.replaceChildren(list, active.length
    ? h("button", { type: "button", class: "plain", onclick: () => attempt(api.clearFaults) }, "Clear") : "");
  byId("faults-resend")?.toggleAttribute("disabled", !state.lastUpdate.has(state.current));
  if (byId("faults-clock")) byId("faults-clock").textContent = clockText();
}

async function load() {
  const answer = await api.faults();
  active = Array.isArray(answer) ? answer : (answer.faults ?? []);
  show();
}

function build() {
  byId("faults").replaceChildren(
    h("div", { class: "faults-presets" }, PRESETS.map(preset)),
    h("div", { class: "faults-list", id: "faults-list" }),
    h("div", { class: "faults-more" },
      h("button", { type: "button", class: "plain", id: "faults-resend", onclick: () => attempt(resend, "The last update was delivered again.") },
        icon("repeat"), "Deliver the last update again"),
      h("button", { type: "button", class: "plain", onclick: () => attempt(advance, "The sandbox's clock is 5 minutes further.") }, icon("clock"), "Clock +5 min"),
      resetButton(),
      h("span", { class: "faults-clock", id: "faults-clock" })));
}

function toggle(open) {
  byId("faults").hidden = !open;
  byId("faults-open").setAttribute("aria-expanded", String(open));
  clearInterval(poll);
  if (!open) return;
  show();
  load().catch(complain);
  // A fault is used up by the bot's calls, of which no event tells.
  poll = setInterval(() => load().catch(() => {}), 2000);
}

export function startFaults() {
  build();
  byId("faults-open").addEventListener("click", () => toggle(byId("faults").hidden));
  byId("faults").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    toggle(false);
    byId("faults-open").focus();
  });
  for (const topic of ["synced", "user-selected", "last-update", "clock"]) on(topic, show);
  on("synced", () => load().catch(() => {}));
  on("message-new", () => active.length && load().catch(() => {}));
}

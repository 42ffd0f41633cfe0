// What is under a row when it is opened: attributes, events, log lines and links; and the log lines of a whole trace.

import { h, icon } from "./dom.js";
import { duration, preciseTime } from "./format.js";

function valueText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function table(attributes) {
  const names = Object.keys(attributes ?? {}).sort();
  return h("dl", { class: "attrs" }, names.map((name) => {
    const text = valueText(attributes[name]);
    const long = text.length > 70 || text.includes("\n");
    return h("div", { class: long ? "is-long" : null }, h("dt", {}, name), h("dd", { class: `is-${typeof attributes[name]}` }, text));
  }));
}

const severityClass = (severity) => {
  const name = String(severity ?? "").toLowerCase();
  if (name.startsWith("err") || name.startsWith("fatal") || name.startsWith("crit")) return "is-error";
  if (name.startsWith("warn")) return "is-warn";
  return name.startsWith("debug") || name.startsWith("trace") ? "is-debug" : "is-info";
};

export function logLine(log, traceStart, { onSpan, spanName } = {}) {
  const hasMore = Object.keys(log.attributes ?? {}).length > 0;
  const head = [
    h("span", { class: "log-at", title: preciseTime(log.at_ms) }, `+${duration(Math.max(0, log.at_ms - traceStart))}`),
    h("span", { class: `log-level ${severityClass(log.severity)}` }, String(log.severity ?? "INFO").toUpperCase().slice(0, 5)),
    h("span", { class: "log-body" }, log.event_name ? h("b", {}, `${log.event_name} `) : null,
      log.body && log.body !== log.event_name ? valueText(log.body) : ""),
  ];
  const from = onSpan && spanName ? h("button", { type: "button", class: "log-span", onclick: () => onSpan(log.span_id) }, `in ${spanName}`) : null;
  if (!hasMore) return h("div", { class: "log", "data-testid": "log-line" }, h("div", { class: "log-head" }, head), from);
  return h("details", { class: "log", "data-testid": "log-line" }, h("summary", { class: "log-head" }, head), table(log.attributes), from);
}

function event(item, traceStart) {
  return h("div", { class: `span-event${item.name.includes("exception") ? " is-error" : ""}` },
    h("div", { class: "log-head" }, h("span", { class: "log-at" }, `+${duration(Math.max(0, item.at_ms - traceStart))}`), h("b", {}, item.name)),
    table(item.attributes));
}

function section(title, nodes) {
  return nodes.length ? h("section", {}, h("h4", {}, title), nodes) : null;
}

export function linkButton(traceId, label, onTrace, spanId) {
  return h("button", { type: "button", class: "trace-link", "data-testid": "trace-link", onclick: () => onTrace(traceId, spanId) },
    icon("link"), h("span", {}, label), h("code", {}, traceId.slice(0, 8)));
}

export function spanDetails(span, trace, traceStart, onTrace) {
  const logs = (trace.logs ?? []).filter((log) => log.span_id === span.span_id);
  const facts = [span.kind, span.service, `starts at +${duration(span.start_ms - traceStart)}`, `lasts ${duration(span.duration_ms)}`];
  const attributes = Object.keys(span.attributes ?? {}).length ? [table(span.attributes)] : [];
  return h("div", { class: "span-details", "data-testid": "span-details" },
    h("p", { class: "span-facts" }, facts.filter(Boolean).join(" · ")),
    span.status === "error" ? h("p", { class: "span-error" }, icon("alert"), h("span", {}, span.status_message || span.attributes?.["error.type"] || "This span ended with an error.")) : null,
    section("Attributes", attributes),
    section("Events", (span.events ?? []).map((item) => event(item, traceStart))),
    section("Log lines", logs.map((log) => logLine(log, traceStart))),
    section("Links", (span.links ?? []).map((link) =>
      linkButton(link.trace_id, link.trace_id === trace.trace_id ? "a span of this trace" : "linked trace", onTrace, link.span_id))));
}

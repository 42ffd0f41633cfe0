// One trace drawn: its header, the waterfall and the log lines. Rows are kept by span id, so that a trace which is
// still arriving grows in place and an open row stays open.

import { copyButton, h, icon } from "./dom.js";
import { duration, plural, preciseTime } from "./format.js";
import { linkButton, logLine, spanDetails } from "./spandetails.js";
import { outcome } from "./state.js";
import { layout } from "./waterfall.js";

const percent = (fraction) => `${(Math.min(1, Math.max(0, fraction)) * 100).toFixed(3)}%`;

function verdict(trace) {
  if (outcome(trace) === "error") return { name: "error", text: "Error" };
  if (outcome(trace) === "running") return { name: "running", text: "Running" };
  const failed = trace.spans.filter((span) => span.status === "error").length;
  if (failed) return { name: "warn", text: `${plural(failed, "span")} failed` };
  return { name: "ok", text: "OK" };
}

function bar(row) {
  const fill = h("span", { class: `bar${row.failed ? " is-error" : ""}` });
  fill.style.setProperty("left", percent(row.left));
  fill.style.setProperty("width", percent(row.width));
  const label = h("span", { class: "bar-label" }, duration(row.span.duration_ms));
  // The label stands where there is room for it: after the bar, or before it when the bar ends far to the right.
  const end = row.left + row.width;
  if (end < 0.78) label.style.setProperty("left", percent(end));
  else if (row.left > 0.22) label.style.setProperty("right", percent(1 - row.left));
  else {
    label.classList.add("is-inside");
    label.style.setProperty("right", percent(1 - end));
  }
  const marks = row.marks.map((mark) => {
    const node = h("span", { class: `mark${mark.bad ? " is-error" : ""}`, title: mark.name });
    node.style.setProperty("left", percent(mark.at));
    return node;
  });
  return h("span", { class: "lane" }, fill, label, marks);
}

function rowLabel(row) {
  return [row.span.name, duration(row.span.duration_ms), `starts at ${duration(row.offset)}`, `level ${row.depth + 1}`, row.failed ? "error" : null]
    .filter(Boolean).join(", ");
}

/** `host` is an empty element; `onTrace(traceId)` is asked when a link to another trace is pressed. */
export function createTraceView(host, onTrace) {
  const open = new Set();
  const folded = new Set();
  let rows = new Map();
  let trace = null;
  let tab = "waterfall";

  function toggle(spanId) {
    if (!open.delete(spanId)) open.add(spanId);
    draw();
  }

  function fold(spanId) {
    if (!folded.delete(spanId)) folded.add(spanId);
    draw();
  }

  function reach(spanId) {
    tab = "waterfall";
    folded.clear();
    open.add(spanId);
    draw();
    rows.get(spanId)?.node.scrollIntoView({ block: "center" });
    rows.get(spanId)?.node.querySelector(".row-main").focus({ preventScroll: true });
  }

  function fillRow(view, row, start) {
    const { span } = row;
    const indent = h("span", { class: "row-indent" });
    const caret = row.children
      ? h("button", { type: "button", class: `caret${row.folded ? "" : " is-open"}`, "aria-label": `${row.folded ? "Show" : "Hide"} ${plural(row.children, "child span")}`,
        "aria-expanded": String(!row.folded), onclick: () => fold(span.span_id) }, icon("caret"))
      : h("span", { class: "caret" });
    const main = h("button", { type: "button", class: "row-main", "data-testid": "trace-row", "data-span": span.name, "aria-expanded": String(open.has(span.span_id)),
      "aria-label": rowLabel(row), onclick: () => toggle(span.span_id) },
    h("span", { class: "row-name", title: span.name }, row.failed ? icon("alert") : h("i", { class: "row-dot" }), h("span", { class: "row-text", "data-testid": "trace-row-name" }, span.name),
      row.newService ? h("span", { class: "row-service" }, span.service) : null),
    bar(row));
    const had = document.activeElement?.classList.contains("row-main") && view.node.contains(document.activeElement);
    view.node.className = `row family--${row.family.id}${row.failed ? " is-error" : ""}${row.critical ? "" : " is-aside"}${open.has(span.span_id) ? " is-open" : ""}`;
    // Very deep spans share one indent: the name must keep some room.
    view.node.style.setProperty("--depth", String(Math.min(row.depth, 9)));
    view.node.replaceChildren(h("div", { class: "row-line" }, indent, caret, main),
      ...(open.has(span.span_id) ? [spanDetails(span, trace, start, onTrace)] : []));
    if (had) view.node.querySelector(".row-main").focus({ preventScroll: true });
  }

  function drawRows(list, plan) {
    const kept = new Map();
    for (const row of plan.rows) {
      const id = row.span.span_id;
      const logs = open.has(id) ? (trace.logs ?? []).filter((log) => log.span_id === id).length : 0;
      const sign = JSON.stringify([row, open.has(id), logs, plan.total]);
      const view = rows.get(id) ?? { node: h("li", { class: "row" }), sign: null };
      if (view.sign !== sign) fillRow(view, row, plan.start);
      view.sign = sign;
      kept.set(id, view);
    }
    rows = kept;
    const wanted = [...kept.values()].map((view) => view.node);
    const same = wanted.length === list.children.length && wanted.every((node, index) => list.children[index] === node);
    if (!same) list.replaceChildren(...wanted);
  }

  function axis(plan) {
    return h("div", { class: "axis", "aria-hidden": "true" }, h("span", { class: "axis-lane" }, plan.ticks.map((at) => {
      const tick = h("span", { class: "tick" }, duration(at).replace(".00", ""));
      tick.style.setProperty("left", percent(at / plan.total));
      return tick;
    })));
  }

  function head(plan) {
    const linked = trace.linked_trace_ids ?? [];
    const { name, text } = verdict(trace);
    return [
      h("div", { class: "trace-title" }, h("h3", {}, trace.root), h("span", { class: `status is-${name}`, "data-testid": "trace-status" }, text)),
      h("div", { class: "trace-id" }, h("code", { "data-testid": "trace-id" }, trace.trace_id), copyButton(trace.trace_id, "Copy the trace id")),
      h("div", { class: "trace-facts" },
        h("span", {}, h("b", {}, duration(plan.total))), h("span", {}, plural(trace.spans.length, "span")), h("span", {}, plan.services.join(", ")),
        h("span", {}, preciseTime(trace.start_ms)), linked.map((id) => linkButton(id, "linked", onTrace))),
    ];
  }

  const nodes = {
    head: h("header", { class: "trace-head" }),
    views: h("div", { class: "segments", role: "group", "aria-label": "View" }),
    legend: h("div", { class: "legend" }),
    axis: h("div"),
    rows: h("ol", { class: "rows", "aria-label": "Spans" }),
    logs: h("div", { class: "logs" }),
  };
  nodes.rows.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !event.target.classList.contains("row-main")) return;
    event.preventDefault();
    const all = [...nodes.rows.querySelectorAll(".row-main")];
    all[all.indexOf(event.target) + step]?.focus();
  });
  host.replaceChildren(nodes.head, h("div", { class: "trace-bar" }, nodes.views, nodes.legend),
    h("div", { class: "trace-body" }, nodes.axis, nodes.rows, nodes.logs));

  function drawViews() {
    const logs = trace.logs?.length ?? 0;
    const segment = (id, label) => h("button", { type: "button", "aria-pressed": String(tab === id), "data-testid": `view-${id}`, onclick: () => ((tab = id), draw()) }, label);
    nodes.views.replaceChildren(segment("waterfall", "Waterfall"), segment("logs", `Logs ${logs}`));
  }

  function drawLogs(plan) {
    const names = new Map(trace.spans.map((span) => [span.span_id, span.name]));
    const lines = [...(trace.logs ?? [])].sort((a, b) => a.at_ms - b.at_ms)
      .map((log) => logLine(log, plan.start, { onSpan: reach, spanName: names.get(log.span_id) }));
    nodes.logs.replaceChildren(...(lines.length ? lines : [h("p", { class: "logs-none" }, "No log line carries this trace id.")]));
  }

  function draw() {
    const plan = layout(trace, folded);
    const headSign = JSON.stringify([trace.trace_id, trace.root, verdict(trace), plan.total, trace.spans.length, trace.linked_trace_ids]);
    if (nodes.head.dataset.sign !== headSign) nodes.head.replaceChildren(...head(plan));
    nodes.head.dataset.sign = headSign;
    drawViews();
    nodes.legend.replaceChildren(...plan.families.map((family) => h("span", { class: `family--${family.id}` }, h("i", { class: "row-dot" }), family.label)));
    const showRows = tab === "waterfall";
    nodes.axis.hidden = nodes.rows.hidden = nodes.legend.hidden = !showRows;
    nodes.logs.hidden = showRows;
    if (showRows) {
      nodes.axis.replaceChildren(axis(plan));
      drawRows(nodes.rows, plan);
    } else drawLogs(plan);
  }

  return {
    show(next) {
      if (trace?.trace_id !== next.trace_id) {
        open.clear();
        folded.clear();
        rows = new Map();
      }
      trace = next;
      draw();
    },
    reach,
  };
}

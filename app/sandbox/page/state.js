// What the page knows, and who wants to hear of a change. Modules read `state` and never each other's elements.

export const state = {
  bots: [],
  bot: null,
  users: new Map(),
  /** user id -> Map(message_id -> Message), in the order of message_id */
  chats: new Map(),
  current: null,
  unread: new Map(),
  /** user id -> {action, until}: "sending audio…" */
  actions: new Map(),
  /** trace id -> {duration_ms, span_count, failed, running, start_ms} for the chips under the messages */
  summaries: new Map(),
  samples: [],
  commands: [],
  /** user id -> the newest update_id that this page made, for "send it again" */
  lastUpdate: new Map(),
  /** {messageId, at, before}: the press whose trace is of interest until a newer message comes, and the traces before it */
  lastPress: null,
  replyTo: null,
  selected: null,
  clockOffset: 0,
};

const listeners = new Map();

export function on(topic, listener) {
  if (!listeners.has(topic)) listeners.set(topic, []);
  listeners.get(topic).push(listener);
}

export function emit(topic, detail) {
  for (const listener of listeners.get(topic) ?? []) listener(detail);
}

export const now = () => Date.now() / 1000 + state.clockOffset;

export function chatOf(uid) {
  if (!state.chats.has(uid)) state.chats.set(uid, new Map());
  return state.chats.get(uid);
}

export const messagesOf = (uid) => [...chatOf(uid).values()];

export function lastMessage(uid) {
  let last = null;
  for (const message of chatOf(uid).values()) last = message;
  return last;
}

export function findMessage(messageId) {
  for (const chat of state.chats.values()) {
    if (chat.has(messageId)) return chat.get(messageId);
  }
  return null;
}

/** Returns "new", "changed" or "stale": an answer and an event about the same message may overtake each other. */
export function putMessage(message) {
  const chat = chatOf(message.chat_id);
  const known = chat.get(message.message_id);
  if (known && known.seq > message.seq) return "stale";
  const newest = lastMessage(message.chat_id)?.message_id ?? 0;
  const traceIds = new Set([...(message.trace_ids ?? []), ...(known?.trace_ids ?? [])]);
  chat.set(message.message_id, { ...message, trace_ids: [...traceIds] });
  if (known) return "changed";
  if (newest > message.message_id) sortChat(message.chat_id);
  return "new";
}

function sortChat(uid) {
  state.chats.set(uid, new Map([...chatOf(uid).entries()].sort(([a], [b]) => a - b)));
}

/** Takes the sandbox's list as the truth: after a restart of the sandbox the same ids name other messages. */
export function replaceChat(uid, messages) {
  state.chats.set(uid, new Map(messages.map((message) => [message.message_id, { ...message, trace_ids: message.trace_ids ?? [] }])));
}

/** Notes that these messages have this trace; returns those that did not know it. */
export function attachTrace(traceId, messageIds) {
  const changed = [];
  for (const id of messageIds) {
    const message = findMessage(id);
    if (!message || message.trace_ids.includes(traceId)) continue;
    message.trace_ids = [...message.trace_ids, traceId];
    changed.push(message);
  }
  return changed;
}

/**
 * The trace that made the message what it is now. The sandbox lists the trace that sent it first; of an edited message it
 * is the latest that had begun by the edit, so that a press on its button later does not count. Null while unknown.
 */
export function mainTrace(message) {
  const known = message.trace_ids.map((id) => state.summaries.get(id)).filter(Boolean);
  if (!message.edit_date) return known[0] ?? null;
  const begun = known.filter((trace) => trace.start_ms <= (message.edit_date + 1) * 1000);
  return begun.sort((a, b) => b.start_ms - a.start_ms)[0] ?? known[0] ?? null;
}

/** The trace that the last press on the message began, the latest when it led to others; null while none has arrived. */
export function pressTrace(message, traces) {
  if (state.lastPress?.messageId !== message.message_id) return null;
  const since = traces.filter((trace) => !state.lastPress.before.has(trace.trace_id));
  return since.sort((a, b) => b.start_ms - a.start_ms)[0] ?? null;
}

/** The word and the colour of a trace: a failure is one also when the work around it came to a good end. */
export const outcome = (trace) => (trace.failed ? "error" : trace.running ? "running" : "ok");

/** One line for the list of users and for quotes. */
export function excerpt(message) {
  if (!message) return "";
  const text = (message.text ?? "").replace(/\s+/g, " ").trim();
  const names = { audio: "Audio", voice: "Voice message", video: "Video", photo: "Photo", document: "File" };
  const kind = message.attachment && (message.attachment.title || message.attachment.file_name || names[message.attachment.kind]);
  return kind && text ? `${kind} · ${text}` : kind || text || "Message";
}

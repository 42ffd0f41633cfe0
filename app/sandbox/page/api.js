// The sandbox's control API and its event stream. Nothing else in the page talks to the network.

let botId = null;

export class ApiError extends Error {}

/** All later calls and the event stream are about this bot. */
export function useBot(id) {
  botId = id;
}

function address(path, query = {}) {
  const url = new URL(`/sandbox${path}`, location.origin);
  for (const [name, value] of Object.entries({ bot_id: botId, ...query })) {
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  return url;
}

async function call(method, path, { query, body } = {}) {
  const init = { method };
  if (body instanceof FormData) init.body = body;
  else if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  }
  let answer;
  try {
    answer = await fetch(address(path, query), init);
  } catch {
    throw new ApiError("The sandbox does not answer. Is it still running?");
  }
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(data.error ?? `The sandbox answered ${answer.status}.`);
  return data;
}

export const api = {
  state: () => call("GET", "/state"),
  users: () => call("GET", "/users"),
  createUser: (user) => call("POST", "/users", { body: user }),
  messages: (uid) => call("GET", `/users/${uid}/messages`, { query: { after_seq: 0 } }),
  sendText: (uid, text, replyTo) =>
    call("POST", `/users/${uid}/messages`, { body: { text, ...(replyTo ? { reply_to_message_id: replyTo } : {}) } }),
  sendFile(uid, file, kind, caption) {
    const body = new FormData();
    body.append("kind", kind);
    if (caption) body.append("caption", caption);
    body.append("file", file, file.name);
    return call("POST", `/users/${uid}/files`, { body });
  },
  press: (uid, messageId, button) =>
    call("POST", `/users/${uid}/presses`, { body: { message_id: messageId, callback_data: button.callback_data } }),
  tracesOf: (messageId) => call("GET", `/messages/${messageId}/traces`),
  traces: (limit) => call("GET", "/traces", { query: { limit } }),
  trace: (traceId) => call("GET", `/traces/${traceId}`),
  commands: (uid) => call("GET", `/users/${uid}/commands`),
  faults: () => call("GET", "/faults"),
  addFault: (fault) => call("POST", "/faults", { body: fault }),
  clearFaults: () => call("DELETE", "/faults"),
  redeliver: (updateId) => call("POST", `/updates/${updateId}/redeliver`),
  advance: (seconds) => call("POST", "/clock", { body: { advance_s: seconds } }),
  reset: () => call("POST", "/reset"),
  samples: () => call("GET", "/samples"),
};

const EVENTS = ["message", "deleted", "callback_answer", "chat_action", "trace", "user", "reset"];

/**
 * Keeps an event stream open for ever. `onOpen` is called after every (re)connection: events between two connections
 * are lost, so the caller reads the state again. Returns a function that closes the stream.
 */
export function listen({ onEvent, onOpen, onLost }) {
  let source = null;
  let timer = null;
  let wait = 500;
  let closed = false;

  function open() {
    if (closed) return;
    source = new EventSource(address("/events"));
    source.addEventListener("open", () => {
      wait = 500;
      onOpen();
    });
    source.addEventListener("error", () => {
      // The browser's own reconnection gives up on the first answer that is not 200, so it is not used.
      source.close();
      onLost();
      timer = setTimeout(open, wait);
      wait = Math.min(wait * 1.6, 4000);
    });
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => onEvent(name, JSON.parse(event.data || "{}")));
    }
  }

  open();
  return () => {
    closed = true;
    clearTimeout(timer);
    source?.close();
  };
}

// Presses on inline buttons that the bot has not answered yet. A button spins until answerCallbackQuery, as in Telegram.

import { api } from "./api.js";
import { complain, showAlert, toast } from "./notices.js";
import { emit, now, state } from "./state.js";

const GIVE_UP_MS = 30000;

/** `${message_id}/${callback_data}` -> timer */
const pending = new Map();
/** callback_query_id -> key; an answer may come before the press itself is acknowledged. */
const waiting = new Map();
const early = new Set();

const keyOf = (messageId, button) => `${messageId}/${button.callback_data}`;

export const isPending = (messageId, button) => pending.has(keyOf(messageId, button));

function finish(key, messageId) {
  clearTimeout(pending.get(key));
  pending.delete(key);
  emit("pending", messageId);
}

export async function press(message, button) {
  const key = keyOf(message.message_id, button);
  if (pending.has(key)) return;
  pending.set(key, null);
  // Before the request: the bot's trace may arrive before the sandbox's answer to the press.
  state.lastPress = { messageId: message.message_id, at: now(), before: new Set(message.trace_ids) };
  emit("pending", message.message_id);
  emit("pressed", message.message_id);
  try {
    const made = await api.press(message.chat_id, message.message_id, button);
    if (made.update_id) state.lastUpdate.set(message.chat_id, made.update_id);
    emit("last-update");
    if (early.delete(made.callback_query_id)) return finish(key, message.message_id);
    waiting.set(made.callback_query_id, { key, messageId: message.message_id });
    pending.set(key, setTimeout(() => {
      if (!waiting.delete(made.callback_query_id)) return;
      finish(key, message.message_id);
      toast("The bot did not answer the press within 30 s.", { kind: "error" });
    }, GIVE_UP_MS));
  } catch (error) {
    finish(key, message.message_id);
    complain(error);
  }
  return undefined;
}

export function answered(answer) {
  const press = waiting.get(answer.callback_query_id);
  if (press) {
    waiting.delete(answer.callback_query_id);
    finish(press.key, press.messageId);
  } else {
    early.add(answer.callback_query_id);
  }
  if (!answer.text && !answer.url) return;
  const sender = answer.chat_id === state.current ? null : state.users.get(answer.chat_id)?.first_name;
  if (answer.show_alert && !sender) showAlert(answer.text);
  else toast(answer.text || "The bot opens a link.", { url: answer.url, sender });
}

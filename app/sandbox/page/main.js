// Puts the page together: first the state, then every event of the sandbox into it.

import { api, listen, useBot } from "./api.js";
import { showChat, startChat, reveal } from "./chat.js";
import { sendText, setReply, startComposer } from "./composer.js";
import { byId, h } from "./dom.js";
import { startFaults } from "./faults.js";
import { hue, initials, plural } from "./format.js";
import { announce, complain } from "./notices.js";
import { answered } from "./presses.js";
import { startSplitter } from "./splitter.js";
import { attachTrace, chatOf, emit, excerpt, putMessage, replaceChat, state } from "./state.js";
import { openMessageTrace, selectMessage, startTrace } from "./trace.js";
import { selectUser, startUsers } from "./users.js";

const BOT_POLL_MS = 2500;
const ACTION_MS = 5000;

let closeEvents = null;
let syncing = null;
let again = false;
let summaryTimer = null;
/** How many looks in a row found updates waiting: one may just have come. */
let waitingLooks = 0;

/** [class of the dot, words] */
function botState(bot) {
  if (!byId("offline").hidden) return ["", "no connection"];
  if (!bot) return ["", "waiting for its first call"];
  if (waitingLooks > 1) return ["is-busy", `${plural(bot.pending_updates, "update")} waiting for the bot`];
  if (bot.webhook_url) return ["is-on", `@${bot.username} · webhook`];
  return bot.polling ? ["is-on", `@${bot.username} · polling`] : ["is-away", `@${bot.username} · not polling`];
}

function showBot() {
  const { bot } = state;
  byId("bot-name").textContent = bot?.first_name ?? "No bot yet";
  byId("bot-avatar").textContent = bot ? initials(bot.first_name) : "…";
  byId("bot-avatar").className = `avatar avatar--bot ${bot ? hue(bot.id) : ""}`;
  const [dot, words] = botState(bot);
  byId("bot-state").textContent = words;
  byId("bot-dot").className = `dot ${dot}`;
  const pick = byId("bot-pick");
  pick.hidden = state.bots.length < 2;
  pick.replaceChildren(...state.bots.map((one) => h("option", { value: one.id, selected: one.id === bot?.id }, `@${one.username}`)));
}

/** The bot that the page is about: the one chosen, otherwise the newest. */
function chooseBot(bots) {
  state.bots = bots;
  const next = bots.find((bot) => bot.id === state.bot?.id) ?? bots.at(-1) ?? null;
  const changed = next?.id !== state.bot?.id;
  state.bot = next;
  if (changed) useBot(next?.id ?? null);
  waitingLooks = next?.pending_updates ? waitingLooks + 1 : 0;
  showBot();
  return changed;
}

async function readState() {
  const answer = await api.state();
  state.clockOffset = answer.clock?.offset_s ?? 0;
  state.users = new Map(answer.users.map((user) => [user.id, user]));
  return chooseBot(answer.bots);
}

async function readSummaries(limit) {
  for (const trace of await api.traces(limit)) state.summaries.set(trace.trace_id, trace);
}

async function readAll() {
  await readState();
  const users = [...state.users.keys()];
  const [samples, ...chats] = await Promise.all([api.samples(), ...(state.bot ? users.map((uid) => api.messages(uid)) : [])]);
  state.samples = samples;
  state.chats.clear();
  chats.forEach((chat, index) => replaceChat(users[index], chat.messages));
  if (state.bot) await readSummaries(500);
  if (!state.users.has(state.current)) {
    const remembered = Number(sessionStorage.getItem("user"));
    state.current = null;
    if (users.length) selectUser(state.users.has(remembered) ? remembered : users[0]);
  }
  emit("synced");
}

/** One reading at a time; a wish during a reading is granted once after it. */
async function sync() {
  if (syncing) {
    again = true;
    return;
  }
  syncing = readAll().catch(complain);
  await syncing;
  syncing = null;
  if (again) {
    again = false;
    await sync();
  }
}

function onMessage({ message }) {
  const result = putMessage(message);
  if (result === "stale") return;
  if (result === "changed") return emit("message-changed", chatOf(message.chat_id).get(message.message_id));
  if (message.author === "bot") {
    state.actions.delete(message.chat_id);
    if (message.chat_id === state.current) announce(`${state.bot?.first_name ?? "Bot"}: ${excerpt(message)}`);
    if (message.chat_id !== state.current || document.hidden) state.unread.set(message.chat_id, (state.unread.get(message.chat_id) ?? 0) + 1);
  }
  return emit("message-new", chatOf(message.chat_id).get(message.message_id));
}

function onTraceEvent(event) {
  attachTrace(event.trace_id, event.message_ids).forEach((message) => emit("message-changed", message));
  emit("trace", event);
  summaryTimer ??= setTimeout(async () => {
    summaryTimer = null;
    await readSummaries(50).catch(() => {});
    emit("summaries");
  }, 250);
}

const EVENT_HANDLERS = {
  message: onMessage,
  deleted({ chat_id: uid, message_id: id }) {
    chatOf(uid).delete(id);
    emit("message-deleted", id);
  },
  callback_answer: answered,
  chat_action({ chat_id: uid, action }) {
    state.actions.set(uid, { action, until: Date.now() + ACTION_MS });
    emit("action");
  },
  trace: onTraceEvent,
  user(user) {
    state.users.set(user.id, user);
    emit("users");
  },
  reset() {
    state.lastUpdate.clear();
    state.summaries.clear();
    state.unread.clear();
    sync();
  },
};

function connect() {
  closeEvents?.();
  closeEvents = listen({
    onOpen() {
      byId("offline").hidden = true;
      sync();
    },
    onLost() {
      byId("offline").hidden = false;
      showBot();
    },
    onEvent(name, data) {
      // The stream tells of all bots; the page shows one.
      if (data.bot_id === undefined || data.bot_id === state.bot?.id) EVENT_HANDLERS[name](data);
    },
  });
}

async function watchBot() {
  try {
    if (document.hidden || !byId("offline").hidden) return;
    if (await readState()) connect();
  } catch {
    // The event stream notices that the sandbox is gone, and says so.
  } finally {
    setTimeout(watchBot, state.bot && !waitingLooks ? BOT_POLL_MS : BOT_POLL_MS / 3);
  }
}

function startBotPicker() {
  byId("bot-pick").addEventListener("change", (event) => {
    state.bot = state.bots.find((bot) => String(bot.id) === event.target.value);
    useBot(state.bot.id);
    showBot();
    state.selected = null;
    state.unread.clear();
    connect();
    showChat({ fresh: true });
  });
}

async function start() {
  startUsers();
  startComposer();
  startFaults();
  startChat({ sendText, sendCommand: sendText, reply: setReply, select: selectMessage, openTrace: openMessageTrace });
  startTrace({ revealMessage: reveal });
  startSplitter();
  startBotPicker();
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && state.unread.delete(state.current)) emit("users");
  });
  try {
    await readState();
  } catch {
    byId("offline").hidden = false;
  }
  connect();
  setTimeout(watchBot, BOT_POLL_MS);
  byId("composer").focus();
}

start();

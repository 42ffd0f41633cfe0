"""The English texts, as Telegram HTML with `{placeholders}`."""

TEXTS = {
    "start": (
        "👋 <b>Hello! I am Tracegram.</b>\n\n"
        "Send me a link to a video or a song and I will send you the sound of it as an mp3."
    ),
    "help": (
        "<b>What I can do</b>\n\n"
        "🎵 Send a link, and get an mp3 back, with its progress on the way.\n"
        "🧾 When something fails, you get a short support code. Pass it on: it leads straight to the reason.\n\n"
        "/start shows the menu, /help this page."
    ),
    "command_start": "Menu",
    "command_help": "Help",
    "button_help": "❓ Help",
    "button_menu": "🏠 Menu",
    "send_link": "Send me a link to a video or a song, and I will send you its sound as an mp3.",
    "unknown_command": "I do not know this command. /help lists what I can do.",
    "button_outdated": "This button is out of date. Use /start.",
    "queued": "⏳ In the queue…",
    "stage_probing": "🔎 Looking at the link…",
    "stage_downloading": "⬇️ Downloading…",
    "stage_converting": "🎛 Converting to mp3…",
    "stage_uploading": "⬆️ Sending…",
    "done": "✅ Done: here is your mp3.",
    "result_caption": "cid <code>{cid}</code>",
    "failure": "{sentence}\n\nSupport code: <code>{code}</code>",
    "internal_error": "😔 Something went wrong on our side. Please try again in a minute.",
    "job_failed": "😔 This did not work, and it is our fault. Please try again later.",
    "link_not_allowed": "🚫 I may not open this address. Send a link to a public web page.",
    "link_unreachable": "🔌 This link does not answer. Check it, or try again later.",
    "nothing_to_download": "🤷 I found no video or sound behind this link.",
    "not_media": "📄 This file is not audio or video, whatever its name says.",
    "too_large": "🐘 This is larger than I may send in Telegram ({max_mb} MB).",
    "too_long": "⏱ This is longer than I can convert ({max_minutes} minutes).",
    "took_too_long": "🐢 This took too long, so I stopped. Try again, or send a shorter one.",
    "debug_title": "🔎 <b>Last traces</b>",
    "debug_empty": "No traces yet. Send me something first.",
    "debug_pick": "Press a number for its waterfall, or send /debug with a trace ID or support code.",
    "debug_unknown": "No trace here begins with <code>{query}</code>. It may be too old, or of another process.",
    "debug_many": "{count} traces begin with <code>{query}</code>: give more digits.",
    "debug_trace": "{mark} <b>{what}</b> · {outcome} · {duration}\n<code>{cid}</code>",
    "debug_linked": "🔗 linked: {cids}",
    "button_refresh": "🔄 Refresh",
    "button_back": "⬅️ Back",
}

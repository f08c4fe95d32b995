// What pages need beside htmx: the browser's time zone, buttons that copy, and parts that refresh only while looked at.
"use strict";

document.documentElement.dataset.js = "";

// The server writes times in this zone from the next page on.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie =
    `hub_zone=${encodeURIComponent(zone)}; path=${document.body.dataset.root}; max-age=31536000; samesite=lax${secure}`;
}

// The small screen's menu closes by a link to a part of the same page too, and by a click beside it.
document.addEventListener("click", (event) => {
  const menu = document.querySelector("details.narrow[open]");
  if (menu && (event.target.closest("a") || !menu.contains(event.target))) menu.open = false;
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  const label = button.querySelector("[data-copy-label]");
  const isCopied = await copied(code);
  label.textContent = isCopied ? "Copied" : "Select and copy";
  setTimeout(() => { label.textContent = "Copy"; }, 2000);
});

// Browsers give their clipboard to pages from https and this machine only; elsewhere the selection is copied.
async function copied(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}

// A part that refreshes by itself does not while nobody sees it, nor under somebody's pointer or keyboard.
document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.detail.elt;
  if (!("live" in part.dataset)) return;
  if (document.hidden || part.matches(":hover") || part.contains(document.activeElement)) event.preventDefault();
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const part of document.querySelectorAll("[data-live]")) window.htmx.trigger(part, "shown");
});

// Polls the page that the server renders, and sends what the buttons and forms describe. No HTML is
// built here: new content comes from the server's own, escaped page.
"use strict";

const root = document.body.dataset.root;
const result = document.getElementById("result");
const INTERVAL = 1000;
let pressed; // the button that the result belongs to

// Keeps the result below the pressed button. If a refresh removes the button, the result stays.
function place() {
  if (!pressed?.isConnected) return;
  const { left, right, bottom } = pressed.getBoundingClientRect();
  const width = document.documentElement.clientWidth;
  const isOnTheLeft = left + right < width;
  result.style.top = `${bottom + scrollY}px`;
  result.style.left = isOnTheLeft ? `${left}px` : "auto";
  result.style.right = isOnTheLeft ? "auto" : `${width - right}px`;
}

function show(text, isError) {
  result.textContent = text;
  result.classList.toggle("error", isError);
}

async function refresh() {
  const answer = await fetch(`${root}/`, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll(".live")) {
    const other = fresh.getElementById(part.id);
    for (const { id } of part.querySelectorAll("details[open]")) {
      fresh.getElementById(id)?.setAttribute("open", "");
    }
    if (part.innerHTML !== other.innerHTML) part.replaceChildren(...other.childNodes);
  }
  place();
}

async function send(button, { method, path }, body) {
  pressed = button;
  place();
  try {
    const answer = await fetch(root + path, {
      method,
      headers: { "Content-Type": "application/json" },
      body: method === "DELETE" ? undefined : JSON.stringify(body),
    });
    const error = answer.ok ? null : (await answer.json()).error;
    show(error ? error.message : button.dataset.done, Boolean(error));
    await refresh();
    return answer.ok;
  } catch {
    show("The fake cloud is not responding.", true);
    return false;
  }
}

function valueOf(input) {
  if (input.type === "checkbox") return input.checked || undefined;
  if (input.value === "") return undefined;
  return input.type === "number" ? Number(input.value) : input.value;
}

document.addEventListener("click", ({ target }) => {
  result.textContent = "";
  const button = target.closest("button[data-path]");
  const question = button?.dataset.confirm;
  if (button && (!question || confirm(question))) send(button, button.dataset, {});
});

for (const form of document.forms) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const named = [...form.elements].filter((input) => input.name);
    const body = Object.fromEntries(named.map((input) => [input.name, valueOf(input)]));
    if (await send(event.submitter, form.dataset, body)) form.reset();
  });
}

async function follow() {
  // Keep what a reader has selected.
  const reading = document.hidden || !getSelection().isCollapsed;
  if (!reading) {
    try {
      await refresh();
      document.body.classList.remove("lost");
    } catch {
      document.body.classList.add("lost");
    }
  }
  setTimeout(follow, INTERVAL);
}

setTimeout(follow, INTERVAL);

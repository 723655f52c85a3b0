// What makes the pages quick: parts are fetched and exchanged in place. Without this file every form still works.

const root = document.documentElement;

// -- light and dark ---------------------------------------------------------------------------
const dark = matchMedia("(prefers-color-scheme: dark)");
document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
  const now = root.dataset.theme || (dark.matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `motet_theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
});

// The server escapes all that is not its own, and the page's policy runs no script but this file.
function put(place, html) {
  const made = document.createElement("template");
  made.innerHTML = html;
  place.replaceChildren(made.content);
}

// A form as JSON, which no other site can send without being asked first.
function send(where, said, signal) {
  return fetch(where, { method: "POST", body: JSON.stringify([...said]), headers: { "X-Part": "1", "Content-Type": "application/json" }, signal });
}

document.addEventListener("submit", async (event) => {
  const form = event.target, button = event.submitter;
  if (event.defaultPrevented || form.method !== "post") return;
  event.preventDefault();
  const said = new FormData(form);
  if (button?.name) said.append(button.name, button.value);
  form.setAttribute("aria-busy", "true");
  form.parentElement.querySelector(":scope > .problem")?.remove();
  try {
    const answer = await send(form.getAttribute("action"), said);
    if (answer.headers.has("X-Go")) location.assign(answer.headers.get("X-Go"));
    else {
      const made = document.createElement("div");
      put(made, await answer.text());
      form.before(made.firstElementChild);
    }
  } finally {
    form.removeAttribute("aria-busy");
  }
});

// -- the shop ---------------------------------------------------------------------------------
const wishes = document.querySelector("form[data-live]");
if (wishes) shop(wishes, document.getElementById("list"));

function shop(form, list) {
  let running = null, waiting = 0;
  const ask = form.elements.text;
  const fold = form.querySelector("[data-fold]");
  const narrow = matchMedia("(max-width: 46rem)");
  const folds = () => { fold.open = !narrow.matches; };
  narrow.addEventListener("change", folds);
  folds();

  const places = () => new Map([...list.querySelectorAll(".item[data-id]")].map((one) => [
    one.dataset.id, { rank: Number(one.dataset.rank), top: one.getBoundingClientRect().top + scrollY },
  ]));

  function show(html) {
    const before = places();
    const focus = document.activeElement;
    const held = list.contains(focus) ? { name: focus.name, value: focus.value, place: focus.closest(".item")?.dataset.rank } : null;
    put(list, html);
    if (before.size) {
      for (const one of list.querySelectorAll(".item[data-id]")) follow(one, before.get(one.dataset.id));
    }
    if (held) {
      const same = [...list.querySelectorAll("button")].find((b) => b.name === held.name && b.value === held.value);
      const near = held.place && list.querySelector(`.item[data-rank="${held.place}"] .like`);
      (same || near || list.querySelector("h2 a") || ask).focus({ preventScroll: true });
    }
    hint();
  }

  function follow(one, was) {
    const now = Number(one.dataset.rank), said = one.querySelector(".moved");
    if (!was) {
      one.classList.add("arrives");
      tell(said, "new", list.dataset.new);
    } else if (was.rank !== now) {
      const up = was.rank > now;
      tell(said, up ? "up" : "down", (up ? "↑ " : "↓ ") + Math.abs(was.rank - now), (up ? list.dataset.up : list.dataset.down).replace("#", Math.abs(was.rank - now)));
    }
    const far = was ? was.top - (one.getBoundingClientRect().top + scrollY) : 0;
    if (far && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
      one.animate([{ transform: `translateY(${far}px)` }, { transform: "none" }], { duration: 380, easing: "cubic-bezier(.2,.7,.2,1)" });
    }
  }

  function tell(place, kind, words, title) {
    place.className = `moved ${kind}`;
    place.textContent = words;
    if (title) place.title = title;
  }

  function hint() {
    const talking = list.querySelector("input[name=t]") !== null;
    ask.placeholder = talking ? ask.dataset.again : ask.dataset.first;
    form.querySelector("[data-tries]").hidden = talking;
    form.querySelector(".weights").classList.toggle("idle", list.querySelector("input[name=mode][value=list]") !== null);
  }

  // what is said, without what is empty or only serves one answer: a short address that gives the same page
  function address(said) {
    const kept = new URLSearchParams();
    for (const [name, value] of said) {
      const says = value !== "" || name === "user";
      if (says && !name.startsWith("title:") && !["list_id", "c", "act", "do", "other", "over", "usual"].includes(name)) kept.append(name, value);
    }
    return kept;
  }

  async function load(said, { post = "", into = list } = {}) {
    running?.abort();
    const mine = running = new AbortController();
    into.setAttribute("aria-busy", "true");
    try {
      const answer = post ? await send(post, said, mine.signal)
        : await fetch(`/?${new URLSearchParams(said)}`, { headers: { "X-Part": "1" }, signal: mine.signal });
      const html = await answer.text();
      if (into !== list) put(into, html);
      else if (answer.ok) { show(html); remember(); } else problem(html);
    } catch (error) {
      if (error.name === "AbortError") return;
      problem(null);
    } finally {
      if (running === mine) into.removeAttribute("aria-busy");
    }
  }

  function problem(html) {
    list.querySelector(":scope > .problem")?.remove();
    const place = document.createElement("div");
    if (html) put(place, html); else { place.className = "problem"; place.setAttribute("role", "alert"); place.textContent = list.dataset.failed; }
    list.prepend(place.firstElementChild || place);
  }

  function remember() {
    const query = address(new FormData(form)).toString();
    history.replaceState(null, "", query ? `/?${query}` : "/");
    for (const link of document.querySelectorAll("a[data-language]")) {
      const next = new URLSearchParams(query);
      next.set("lang", new URL(link.href).searchParams.get("lang"));
      link.href = `/?${next}`;
    }
  }

  function said(button) {
    const all = new FormData(form);
    if (button?.name) all.append(button.name, button.value);
    return all;
  }

  form.addEventListener("input", (event) => {
    const at = event.target;
    if (at.type === "range") {
      at.parentElement.querySelector("output").textContent = Math.round(100 * at.value);
      later(120);
    } else if (at.type === "number" || at.name === "me") {
      if (at.name === "me" && at.value) form.querySelector('input[name=user][value=""]').checked = true;
      later(500);
    }
  });
  form.addEventListener("change", (event) => {
    const at = event.target;
    if (["radio", "checkbox"].includes(at.type)) {
      if (at.name === "user" && at.value) form.elements.me.value = "";
      if (at.name === "user") for (const old of list.querySelectorAll("input[name=h], input[name=x], input[name=c]")) old.remove();
      later(0);
    }
  });
  function later(ms) {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const all = new FormData(form);
      all.delete("text");
      load(all);
    }, ms);
  }

  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    event.preventDefault();
    clearTimeout(waiting);
    if (button?.name === "stars") {
      load(said(button), { post: "/pages/rate", into: button.closest("[data-rate]") });
    } else if (button?.name === "act") {
      button.classList.add("done");
      const all = said(button);
      all.delete("text");
      load(all, { post: "/pages/act" });
    } else if (button?.name === "usual" || document.activeElement === form.elements.other || form.elements.other.value) {
      location.assign(`/?${button?.name === "usual" ? without(/^w\./) : withOther()}`);
    } else {
      const all = said(button);
      ask.value = "";
      load(all);
    }
  });
  const without = (names) => new URLSearchParams([...address(new FormData(form))].filter(([name]) => !names.test(name)));
  function withOther() {
    const next = without(/^(user|me|h|x|text)$/);
    next.set("user", form.elements.other.value.trim());
    return next;
  }

  form.addEventListener("click", (event) => {
    const words = event.target.closest("[data-try]")?.dataset.try;
    if (!words) return;
    ask.value = words;
    form.requestSubmit(form.querySelector("button[value=find]"));
  });
  hint();
}

// -- operate: fresh numbers while somebody looks ------------------------------------------------
const board = document.querySelector("[data-refresh]");
if (board) {
  setInterval(async () => {
    if (document.hidden || board.contains(document.activeElement) && document.activeElement.matches("button, input, summary")) return;
    try {
      const answer = await fetch("/operate", { headers: { "X-Part": "1" } });
      if (!answer.ok) return;
      const open = board.querySelector("[data-keep]")?.open;
      put(board, await answer.text());
      if (open) board.querySelector("[data-keep]").open = true;
    } catch { /* the next time */ }
  }, 1000 * Number(board.dataset.refresh));
}

// -- judge: a choice shows at once ----------------------------------------------------------------
document.querySelector("form[data-submit]")?.addEventListener("change", (event) => event.currentTarget.requestSubmit());

// What makes the pages quick: parts are fetched and exchanged in place. Without this file every form still works.

const root = document.documentElement;

// -- light and dark ---------------------------------------------------------------------------
const dark = matchMedia("(prefers-color-scheme: dark)");
const themes = document.querySelector("[data-theme-switch]");
if (themes) themes.hidden = false;
themes?.addEventListener("click", () => {
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
function send(where, said) {
  return fetch(where, { method: "POST", body: JSON.stringify([...said]), headers: { "X-Part": "1", "Content-Type": "application/json" } });
}

// What went wrong, in the service's words; our own where it said none of them, or could not be reached.
function problem(html = "") {
  const made = document.createElement("template");
  made.innerHTML = html;
  const given = made.content.querySelector(".problem");
  if (given) return given;
  const own = document.createElement("p");
  own.className = "problem";
  own.setAttribute("role", "alert");
  own.textContent = document.body.dataset.away;
  return own;
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
    else form.before(problem(await answer.text()));
  } catch {
    form.before(problem());
  } finally {
    form.removeAttribute("aria-busy");
  }
});

// -- the shop ---------------------------------------------------------------------------------
const wishes = document.querySelector("form[data-live]");
if (wishes) shop(wishes, document.getElementById("list"));

function shop(form, list) {
  let following = null, waiting = 0, turn = Promise.resolve(), left = 0;
  const ask = document.getElementById("ask");
  const updated = form.querySelector("[data-updated]");
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
    const building = list.querySelector("input[name=mode][value=list]") !== null;
    for (const one of form.querySelectorAll("[data-idle]")) one.classList.toggle("idle", one.dataset.idle === "list" ? building : talking);
  }

  // what is said, without what is empty or only serves one answer: a short address that gives the same page
  function address(said) {
    const kept = new URLSearchParams();
    for (const [name, value] of said) {
      const says = value !== "" || name === "user";
      if (says && !name.startsWith("title:") && !["list_id", "c", "act", "do", "other", "over", "usual"].includes(name) && !(name === "n" && value === "10")) kept.append(name, value);
    }
    return kept;
  }

  // One after the other: the answer before holds what somebody new did so far, and each form is read only in its turn.
  function load(exchange) {
    left += 1;
    list.setAttribute("aria-busy", "true");
    turn = turn.then(async () => {
      try {
        const answer = await exchange(), html = await answer.text();
        if (answer.ok) { show(html); remember(); announce(); } else refuse(html);
      } catch (error) {
        if (error.name !== "AbortError") refuse();
      } finally {
        left -= 1;
        if (!left) list.removeAttribute("aria-busy");
      }
    });
  }

  const look = (said, signal) => fetch(`/?${new URLSearchParams(said)}`, { headers: { "X-Part": "1" }, signal });

  function refuse(html) {
    list.querySelector(":scope > .problem")?.remove();
    list.prepend(problem(html));
  }

  // one short line, which is emptied first so that the same words are said again
  function announce() {
    const words = list.querySelector(".toast")?.textContent || updated.dataset.updated;
    updated.textContent = "";
    setTimeout(() => { updated.textContent = words; }, 100);
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

  function unasked() {
    const all = new FormData(form);
    all.delete("text");
    return all;
  }

  // what is done is done with the list that is seen now, even if another stands there when its turn comes
  function act(button) {
    const seen = new FormData(form);
    const done = ["list_id", `title:${button.value.replace(/^[a-z]+:/, "")}`].map((name) => [name, seen.get(name)]);
    load(() => {
      const all = unasked();
      for (const [name, value] of done) if (value !== null) all.set(name, value);
      all.append("act", button.value);
      return send("/pages/act", all);
    });
  }

  // a longer list: what is being typed is not sent with it, and the first new item takes the focus
  function more(button) {
    const last = list.querySelectorAll(".item").length;
    load(() => {
      const all = unasked();
      all.set(button.name, button.value);
      return look(all);
    });
    turn.then(() => list.querySelectorAll(".item")[last]?.querySelector("h2 a")?.focus());
  }

  async function rate(button) {
    const all = unasked(), place = button.closest("[data-rate]");
    all.append(button.name, button.value);
    place.querySelector(".problem")?.remove();
    try {
      const answer = await send(button.getAttribute("formaction"), all), html = await answer.text();
      if (!answer.ok) return place.append(problem(html));
      const held = place.contains(document.activeElement);
      put(place, html);
      if (held) place.firstElementChild.focus();
    } catch {
      place.append(problem());
    }
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
      following?.abort();  // only what follows the controls gives way: the next one reads them too
      const { signal } = following = new AbortController();
      load(() => look(unasked(), signal));
    }, ms);
  }

  form.addEventListener("submit", (event) => {
    const button = event.submitter;
    event.preventDefault();
    if (button?.closest("[data-rate]")) return void rate(button);
    clearTimeout(waiting);
    if (button?.name === "n") {
      more(button);
    } else if (button?.name === "act") {
      act(button);
    } else if (button?.name === "usual" || document.activeElement === form.elements.other || form.elements.other.value) {
      turn.then(() => location.assign(`/?${button?.name === "usual" ? without(/^w\./) : withOther()}`));
    } else {
      const words = button?.name === "text" ? button.value : ask.value;
      ask.value = "";
      load(() => {
        const all = unasked();
        all.set("text", words);
        if (button?.name && button.name !== "text") all.append(button.name, button.value);
        return look(all);
      });
    }
  });
  const without = (names) => new URLSearchParams([...address(new FormData(form))].filter(([name]) => !names.test(name)));
  function withOther() {
    const next = without(/^(user|me|h|x|text)$/);
    next.set("user", form.elements.other.value.trim());
    return next;
  }
  hint();
}

// -- ids of users for operators, while one is typed
const finding = document.querySelector("[data-find-users]");
if (finding) {
  const offered = document.getElementById(finding.getAttribute("list"));
  let timer = 0, asked = null;
  finding.addEventListener("input", () => {
    clearTimeout(timer);
    asked?.abort();
    timer = setTimeout(async () => {
      const { signal } = asked = new AbortController();
      try {
        const answer = await fetch(`/pages/found-users?${new URLSearchParams({ q: finding.value })}`, { signal });
        if (!answer.ok) return;
        offered.replaceChildren(...(await answer.json()).map((id) => Object.assign(document.createElement("option"), { value: id })));
      } catch { /* it is only a help */ }
    }, 200);
  });
}

// -- pictures: one that cannot be loaded leaves the drawing behind it
document.addEventListener("error", (event) => {
  if (event.target.matches?.("img[data-cover]")) event.target.remove();
}, true);
for (const one of document.querySelectorAll("img[data-cover]")) if (one.complete && !one.naturalWidth) one.remove();

// -- operate: fresh numbers while somebody looks ------------------------------------------------
const board = document.querySelector("[data-refresh]");
if (board) {
  const pausing = document.querySelector("[data-pausing]"), pause = pausing.querySelector("button");
  const stale = pausing.querySelector("[data-stale]");
  const fresh = (is) => { if (is === (stale.textContent !== "")) stale.textContent = is ? "" : pausing.dataset.said; };
  const words = [pause.textContent, pause.dataset.resume];
  let paused = false;
  pausing.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = words[Number(paused)];
  });
  const regions = () => [...board.querySelectorAll(".scroll")];
  const named = (one) => one.getAttribute("aria-labelledby") ?? one.getAttribute("aria-label");
  const kept = () => [...board.querySelectorAll("details[data-keep]")];
  setInterval(async () => {
    const held = () => board.contains(document.activeElement) && document.activeElement.matches("a, button, input, summary");
    if (document.hidden || paused || held()) return;
    try {
      const answer = await fetch(board.dataset.where, { headers: { "X-Part": "1" } });
      const html = await answer.text();
      fresh(answer.ok);
      if (!answer.ok || paused || held()) return;
      const open = new Set(kept().filter((one) => one.open).map((one) => one.dataset.keep));
      const before = new Map(regions().map((one) => [named(one), [one.scrollLeft, one.scrollTop, one === document.activeElement]]));
      put(board, html);
      for (const one of kept()) one.open = open.has(one.dataset.keep);
      for (const one of regions()) {
        const [left, top, focused] = before.get(named(one)) ?? [0, 0, false];
        [one.scrollLeft, one.scrollTop] = [left, top];
        if (focused) one.focus({ preventScroll: true });
      }
    } catch {
      fresh(false);  // the next time perhaps
    }
  }, 1000 * Number(board.dataset.refresh));
}

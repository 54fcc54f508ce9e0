// Progressive enhancement: without the script, a reader reloads the page, copies commands by hand, and a mail has a frame
// of fixed height.

const narrow = matchMedia("(max-width: 30rem)");

// Today's times have no date. On a phone a date has neither words nor seconds.
const localTimes = (root) => {
  for (const time of root.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    const today = at.toDateString() === new Date().toDateString();
    const length = narrow.matches ? "short" : "medium";
    time.title = at.toLocaleString();
    time.textContent = at.toLocaleString(undefined, { dateStyle: today ? undefined : length, timeStyle: length });
  }
};

const showCopyButtons = (root) => {
  for (const button of root.querySelectorAll(".copy")) button.hidden = false;
};

const enhance = (root) => {
  localTimes(root);
  showCopyButtons(root);
};

document.addEventListener("click", async ({ target }) => {
  if (!target.matches(".copy")) return;
  const text = target.parentElement.querySelector("code").textContent;
  const isCopied = await navigator.clipboard.writeText(text).then(() => true, () => false);
  target.textContent = isCopied ? "Copied" : "Not allowed";
  setTimeout(() => (target.textContent = "Copy"), 2000);
});

// Fits the height of a frame to its mail.
const fit = (frame) => {
  const root = frame.contentDocument?.documentElement;
  if (!root) return;
  frame.style.height = "0";
  frame.style.height = `${Math.max(root.scrollHeight, 120)}px`;
};

for (const frame of document.querySelectorAll("iframe")) {
  frame.addEventListener("load", () => fit(frame));
  fit(frame);
  addEventListener("resize", () => fit(frame));
  for (const choice of document.querySelectorAll("#show-html, [name=width]")) {
    choice.addEventListener("change", () => fit(frame));
  }
}

// Reloads a list without moving the focus. If only the texts of `.ago` have changed, replaces just those. Does not reload
// a hidden page, unless its title shows news.
const news = document.querySelector("#news");
const tools = document.querySelector(".tools");
const agos = (root) => [...root.querySelectorAll(".ago")];
const content = (root) => root.innerHTML.replaceAll(/(<span class="ago">)[^<]*/g, "$1");
let seen = news && content(news);

const renew = async () => {
  if (document.hidden && !("inBackground" in news.dataset)) return;
  const address = location.href;
  const response = await fetch(address);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (address !== location.href) return;
  const latest = page.querySelector("#news");
  document.title = page.title;
  const shown = latest.querySelector(".empty pre") && news.querySelector(".empty pre");
  if (shown) return;
  if (content(latest) === seen) {
    const words = agos(latest);
    for (const [index, ago] of agos(news).entries()) ago.textContent = words[index].textContent;
    return;
  }
  seen = content(latest);
  const focused = document.activeElement?.id;
  news.innerHTML = latest.innerHTML;
  document.querySelector(".count").textContent = page.querySelector(".count").textContent;
  if (tools) tools.hidden = page.querySelector(".tools").hidden;
  enhance(news);
  if (focused) document.getElementById(focused)?.focus();
};

const search = document.querySelector("#search");
search?.addEventListener("input", () => {
  const address = new URL(location.href);
  address.searchParams.set("search", search.value);
  if (!search.value.trim()) address.searchParams.delete("search");
  history.replaceState(null, "", address);
  renew().catch(() => {});
});

enhance(document);
narrow.addEventListener("change", () => localTimes(document));
if (news) setInterval(() => renew().catch(() => {}), 2000);

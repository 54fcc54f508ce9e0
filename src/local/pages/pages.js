// Progressive enhancement: without the script, a reader reloads the page, and a mail has a frame of fixed height.

const localTimes = (root) => {
  for (const time of root.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    const today = at.toDateString() === new Date().toDateString();
    time.title = at.toLocaleString();
    time.textContent = today ? at.toLocaleTimeString() : at.toLocaleString();
  }
};

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
  document.querySelector("#show-html").addEventListener("change", () => fit(frame));
}

// Reloads a list without moving the focus. If only the texts of `.ago` have changed, replaces just those.
const news = document.querySelector("#news");
const agos = (root) => [...root.querySelectorAll(".ago")];
const content = (root) => root.innerHTML.replaceAll(/(<span class="ago">)[^<]*/g, "$1");
let seen = news && content(news);

const renew = async () => {
  if (document.hidden) return;
  const response = await fetch(location.href);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const latest = page.querySelector("#news");
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
  localTimes(news);
  if (focused) document.getElementById(focused)?.focus();
};

localTimes(document);
if (news) setInterval(() => renew().catch(() => {}), 2000);

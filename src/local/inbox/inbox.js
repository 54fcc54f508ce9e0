// Progressive: without it, the inbox is read by reloading it, and a mail in a frame of fixed height.

const localTimes = (root) => {
  for (const time of root.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    const today = at.toDateString() === new Date().toDateString();
    time.title = at.toLocaleString();
    time.textContent = today ? at.toLocaleTimeString() : at.toLocaleString();
  }
};

// Frames are as high as their mail.
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

// The list renews itself, and leaves the focus where it was.
const news = document.querySelector("#news");
let seen = news?.innerHTML;

const renew = async () => {
  if (document.hidden) return;
  const response = await fetch("/inbox");
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const latest = page.querySelector("#news");
  const shown = latest.querySelector(".empty") && news.querySelector(".empty");
  if (shown || latest.innerHTML === seen) return;
  seen = latest.innerHTML;
  const focused = document.activeElement?.id;
  news.innerHTML = seen;
  document.querySelector(".count").textContent = page.querySelector(".count").textContent;
  localTimes(news);
  if (focused) document.getElementById(focused)?.focus();
};

localTimes(document);
if (news) setInterval(() => renew().catch(() => {}), 2000);

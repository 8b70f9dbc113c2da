// The chapters in the language that was chosen. Each language's are kept; one language's are in the page at a time.
import { language, LANGUAGES, translate } from "./words.js";

const find = (id) => document.getElementById(id);
const texts = {};

function gather() {
  texts.en = { contents: find("contents-list").firstElementChild, chapters: find("chapters").firstElementChild };
  const figures = {};
  for (const one of texts.en.chapters.querySelectorAll("figure[data-figure]")) {
    figures[one.dataset.figure] = one.querySelector("img").src;
  }
  for (const template of document.querySelectorAll("template[data-language]")) {
    const [nav, chapters] = template.content.children;
    texts[template.dataset.language] = { contents: nav.firstElementChild, chapters };
    for (const one of chapters.querySelectorAll("figure[data-figure]")) {
      one.querySelector("img").src = figures[one.dataset.figure];
    }
    template.remove();
  }
}

// What is being read, as the number of a chapter and how much of it is above the window.
function place() {
  const sections = [...find("chapters").querySelectorAll(".chapter")];
  const index = sections.findLastIndex((one) => one.getBoundingClientRect().top < innerHeight / 2);
  if (index < 0) return null;
  const box = sections[index].getBoundingClientRect();
  return { index, share: -box.top / box.height };
}

function goTo(at) {
  const section = find("chapters").querySelectorAll(".chapter")[at.index];
  if (!section) return;
  const box = section.getBoundingClientRect();
  scrollTo({ top: scrollY + box.top + at.share * box.height, behavior: "instant" });
}

// The trainer is one, whatever the language: it moves from chapter to chapter with all that it has learnt.
function show(chosen) {
  const trainer = find("trainer");
  find("before-chapters").append(trainer);
  find("contents-list").replaceChildren(texts[chosen].contents);
  find("chapters").replaceChildren(texts[chosen].chapters);
  find("chapters").querySelector("[data-trainer]")?.append(trainer);
  translate(chosen);
  for (const link of find("languages").children) {
    if (link.hreflang === chosen) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

export function chooseLanguage(chosen) {
  const at = place();
  show(chosen);
  if (at) goTo(at);
}

// What a link asks for: #es, a language, or #es/chapter, the name of a place in the page.
function asked() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

function linked() {
  const [language] = asked().split("/");
  return LANGUAGES.includes(language) ? language : null;
}

const goToLinked = () => find(asked())?.scrollIntoView({ behavior: "instant" });

function preferred() {
  const wanted = (navigator.languages ?? [navigator.language]).map((one) => one.slice(0, 2).toLowerCase());
  return wanted.find((one) => LANGUAGES.includes(one)) ?? "en";
}

export function startChapters() {
  gather();
  show(linked() ?? preferred());
  goToLinked();
  addEventListener("hashchange", () => {
    const chosen = linked();
    if (!chosen || chosen === language()) return;
    show(chosen);
    goToLinked();
  });
  find("languages").addEventListener("click", (event) => {
    const chosen = event.target.closest("a")?.hreflang;
    if (!chosen) return;
    event.preventDefault();
    chooseLanguage(chosen);
    // Inside of some published documents a page may not change its address.
    try {
      history.replaceState(null, "", `#${chosen}`);
    } catch {}
  });
}

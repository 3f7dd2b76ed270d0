// What a visit asks of a page, in the page. Each answer is a list of what is wrong, or plain facts.
window.widelimit = (() => {
  const short = (text) => text.trim().replace(/\s+/g, " ").slice(0, 80);

  const name = (element) => {
    const id = element.id ? `#${element.id}` : "";
    const kinds = [...element.classList].map((kind) => `.${kind}`).join("");
    return `<${element.localName}${id}${kinds}> ${short(element.textContent)}`;
  };

  // Text nodes of prose: what MathJax leaves alone, and what it has set, is not looked at.
  const prose = function* () {
    const aside = "pre, code, script, style, noscript, textarea, mjx-container";
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (!node.parentElement.closest(aside)) yield node;
    }
  };

  const math = () => {
    const wrong = [];
    for (const source of document.querySelectorAll(".math")) {
      const count = source.querySelectorAll("mjx-container").length;
      if (count !== 1) wrong.push(`set ${count} times: ${name(source)}`);
    }
    // An unknown macro is set as red text, and no error is raised.
    const failed = "mjx-merror, [data-mjx-error], mjx-container [style*='color: red']";
    for (const error of document.querySelectorAll(failed)) {
      wrong.push(`an error in ${name(error.closest("mjx-container"))}`);
    }
    for (const node of prose()) {
      if (/\\\(|\\\)|\\\[|\\\]|\$\$|\\begin\{/.test(node.data)) {
        wrong.push(`raw LaTeX: ${short(node.data)}`);
      }
    }
    const fonts = [...document.fonts].filter((font) => font.family.startsWith("MJX"));
    const states = new Set(fonts.map((font) => font.status));
    if (states.has("error")) wrong.push("a font of MathJax could not be loaded");
    if (document.querySelector(".math") && !states.has("loaded")) {
      wrong.push("no font of MathJax is there");
    }
    return wrong;
  };

  const images = () => {
    const wrong = [];
    for (const image of document.querySelectorAll(".bd-article img")) {
      const said = image.alt.trim() || image.src.slice(0, 80);
      if (!image.alt.trim()) wrong.push(`no alt text: ${said}`);
      if (image.naturalWidth === 0) wrong.push(`nothing is drawn: ${said}`);
    }
    for (const figure of document.querySelectorAll(".bd-article :is(figure, .wl-figure)")) {
      if (!figure.querySelector("figcaption")?.textContent.trim()) {
        wrong.push(`no caption: ${name(figure)}`);
      }
    }
    return wrong;
  };

  // Whether the page scrolls sideways, and what sticks out on the right of it.
  const sideways = () => {
    const page = document.scrollingElement;
    const aside = (element) => {
      for (let box = element; box && box !== document.body; box = box.parentElement) {
        const { overflowX, position } = getComputedStyle(box);
        // A box that scrolls, or one that waits outside the window until a button brings it in.
        if ((box !== element && overflowX !== "visible") || position === "fixed") return true;
      }
      return false;
    };
    const out = [...document.body.querySelectorAll("*")].filter((element) => {
      const box = element.getBoundingClientRect();
      return box.width > 0 && box.right > page.clientWidth + 1 && !aside(element);
    });
    // The innermost are named: what they are in sticks out because of them.
    const inner = out.filter((element) => !out.some((other) => other.parentElement === element));
    const named = inner.map((element) => {
      const end = Math.round(element.getBoundingClientRect().right);
      return `ends at ${end} px: ${name(element)}`;
    });
    if (page.scrollWidth > page.clientWidth) named.unshift(`the page is ${page.scrollWidth} px wide`);
    return named.slice(0, 6);
  };

  const unfold = () => {
    const folds = [...document.querySelectorAll(".bd-article details")];
    const open = folds.filter((fold) => fold.open).map(name);
    for (const fold of folds) fold.open = true;
    return open;
  };

  // Spares axe what it cannot see, or has seen already, on which it would spend most of its time.
  const simplify = () => {
    // The letters of a formula are drawn by its style sheet: an empty box of its size will do.
    const formulas = [...document.querySelectorAll("mjx-container")];
    const sizes = formulas.map((formula) => {
      const { width, height } = formula.getBoundingClientRect();
      return [Math.max(width, formula.scrollWidth), height];
    });
    formulas.forEach((formula, index) => {
      const [width, height] = sizes[index];
      formula.replaceChildren();
      formula.style.cssText += `display: inline-block; width: ${width}px; height: ${height}px`;
    });
    // A token of code has the colour of its kind: the first of each kind will do.
    const kinds = new Set();
    for (const token of document.querySelectorAll(".highlight pre span[class]")) {
      if (kinds.has(token.className)) token.replaceWith(...token.childNodes);
      kinds.add(token.className);
    }
    document.querySelectorAll(".highlight pre").forEach((code) => code.normalize());
  };

  // One link of each kind that the text has: within the book by its classes, and by host.
  const links = () => {
    const kinds = new Map();
    for (const link of document.querySelectorAll(".bd-article a[href]:not(.headerlink)")) {
      const kind = link.host === location.host ? link.className : link.host;
      if (!kinds.has(kind) && link.checkVisibility()) kinds.set(kind, link);
    }
    [...kinds.values()].forEach((link, index) => (link.dataset.widelimitLink = index));
    return [...kinds.values()].map((_, index) => index);
  };

  return { images, links, math, sideways, simplify, unfold };
})();

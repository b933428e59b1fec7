// Contrast (WCAG 2.1) of every visible text with what lies behind it, the lowest first: [ratio, text].
() => {
  const channels = (text) => { const v = text.match(/[\d.]+/g).map(Number); return v.length === 3 ? [...v, 1] : v; };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (element) => { let at = element, color = [14, 18, 22, 1]; const over = [];
    for (; at; at = at.parentElement) { const c = channels(getComputedStyle(at).backgroundColor); if (c[3] > 0) { over.push(c); if (c[3] === 1) break; } }
    for (const c of over.reverse()) color = [0, 1, 2].map((k) => c[k] * c[3] + color[k] * (1 - c[3])); return color; };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const words = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent.trim()).join('');
    if (!words || element.closest('svg') || element.getClientRects().length === 0) continue;
    const one = light(channels(getComputedStyle(element).color)), other = light(ground(element));
    found.push([(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), words.slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}

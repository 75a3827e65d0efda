/** A piece of a tooltip. Names are text nodes: what was ingested is shown, never read as markup. */
export function tipElement(kind: string, className: string, text?: string): HTMLElement {
  const made = document.createElement(kind);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A line of a tooltip: the colour of a series, its name, its value. */
export function tipRow(colour: string, name: string, value: string, dashed: boolean): HTMLElement {
  const line = tipElement("div", "tip-row");
  const swatch = tipElement("span", dashed ? "swatch swatch-dashed" : "swatch");
  swatch.style.color = colour;
  line.append(swatch, tipElement("span", "tip-name cut", name), tipElement("span", "tip-value tabular", value));
  return line;
}

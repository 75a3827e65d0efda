/** As sharp as on a good screen. */
const SCALE = 2;

/** Saves what an element looks like; the part that draws it is loaded when it is first asked for. */
export async function savePicture(element: HTMLElement, name: string): Promise<void> {
  const { toPng } = await import("html-to-image");
  const backgroundColor = getComputedStyle(element).backgroundColor;
  const isShown = (node: Node) => !(node instanceof HTMLElement && (node.classList.contains("tile-end") || node.classList.contains("tile-corner")));
  // The app has no fonts of its own to carry along.
  const address = await toPng(element, { pixelRatio: SCALE, skipFonts: true, backgroundColor, filter: isShown });
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}
